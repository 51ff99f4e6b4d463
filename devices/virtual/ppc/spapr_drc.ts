/**
 * A dynamic-reconfiguration connector of a PCI slot (QEMU hw/ppc/spapr_drc.c; PAPR 2.7, 13.4): what is plugged, and how
 * far the guest has got in taking it over or giving it back. The states are those of QEMU's physical connectors:
 * available and powered on (PHYSICAL_POWERON), unisolated, configured.
 *
 * Methods are called with the machine's lock.
 */
import {
  CONFIGURE_CONNECTOR,
  DR_ENTITY,
  DR_INDICATOR_STATE,
  DR_ISOLATION_STATE,
} from '../../../kernel/include/arch/ppc/dr_connector.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { EVENT, type Tracer } from '../../../kernel/lib/trace.ts';
import { RTAS } from './spapr_rtas.ts';

/** A property of a device-tree node. */
export interface DtProperty {
  readonly name: string;
  readonly value: Uint8Array;
}
/** A node of the device tree without children. */
export interface DtNode {
  /** With its unit address: `ethernet@0`. */
  readonly name: string;
  readonly properties: readonly DtProperty[];
}

/** What the guest gets from one call of ibm,configure-connector. */
export interface ConfigureStep {
  /** One of CONFIGURE_CONNECTOR. */
  readonly response: number;
  /** A node's name, or a property's. */
  readonly name?: string;
  /** A property's value. */
  readonly value?: Uint8Array;
}

/** How far the guest is with what is plugged. */
export type DrcState = 'powered-on' | 'unisolated' | 'configured';

/** What setting the isolation state does: its status, and the state it leads to where it is another one. */
interface Transition {
  readonly status: number;
  readonly next?: DrcState;
  /** Without a device it is refused: there is nothing to unisolate. */
  readonly needsDevice?: true;
}

const { SUCCESS, PARAM_ERROR, NO_SUCH_INDICATOR } = RTAS;
const { ISOLATED, UNISOLATED } = DR_ISOLATION_STATE;
const NOTHING_TO_DO: Transition = { status: SUCCESS };

/** By state, and by what the isolation state is set to (drc_isolate_physical, drc_unisolate_physical). */
const TRANSITIONS: Readonly<Record<DrcState, Readonly<Record<number, Transition>>>> = {
  'powered-on': {
    [ISOLATED]: NOTHING_TO_DO,
    [UNISOLATED]: { status: SUCCESS, next: 'unisolated', needsDevice: true },
  },
  // What has been begun is finished first: configured, and then isolated.
  unisolated: { [ISOLATED]: { status: PARAM_ERROR }, [UNISOLATED]: NOTHING_TO_DO },
  configured: { [ISOLATED]: { status: SUCCESS, next: 'powered-on' }, [UNISOLATED]: NOTHING_TO_DO },
};

export interface SpaprDrcOptions<D> {
  readonly index: number;
  /** What the guest's people call it: a location code. */
  readonly name: string;
  readonly tracer: Tracer;
  /** Takes the device out of the machine; {@link SpaprDrc.detach} is called in it. */
  release(device: D): Task;
  /** The guest has isolated the connector of a device that was to go: it is gone. */
  released(device: D): void;
  /** The device's node, for ibm,configure-connector. */
  populate(device: D): DtNode;
}

/** @typeParam D what is plugged */
export class SpaprDrc<D> {
  readonly index: number;
  readonly name: string;
  readonly #options: SpaprDrcOptions<D>;
  #state: DrcState = 'powered-on';
  #indicator: number = DR_INDICATOR_STATE.INACTIVE;
  #device: D | undefined;
  #unplugRequested = false;
  /** What ibm,configure-connector goes through, made by its first call, and how much of it has been given. */
  #steps: readonly ConfigureStep[] | undefined;
  #given = 0;

  constructor(options: SpaprDrcOptions<D>) {
    this.index = options.index;
    this.name = options.name;
    this.#options = options;
  }

  get state(): DrcState {
    return this.#state;
  }
  /** One of DR_INDICATOR_STATE: what the light beside the slot shows. */
  get indicator(): number {
    return this.#indicator;
  }
  get device(): D | undefined {
    return this.#device;
  }
  /** The guest has been asked to let go of the device, and has not yet. */
  get unplugRequested(): boolean {
    return this.#unplugRequested;
  }
  /** One of DR_ENTITY. */
  get entitySense(): number {
    return this.#device === undefined ? DR_ENTITY.EMPTY : DR_ENTITY.PRESENT;
  }

  // Life of a device

  /**
   * A device is plugged (spapr_drc_attach). @param configured it is the guest's at once, as at power-on; else the guest
   * takes it over
   */
  attach(device: D, configured: boolean): void {
    this.#options.tracer.point(EVENT.spapr_drc_attach, this.index);
    this.#device = device;
    this.#state = configured ? 'configured' : 'powered-on';
  }
  /** The device is gone: the connector is empty. */
  detach(): void {
    this.#device = undefined;
    this.#unplugRequested = false;
    this.#state = 'powered-on';
    this.#rewind();
    this.#steps = undefined;
  }
  /**
   * The device is to go (spapr_drc_unplug_request): at once if the guest does not have it, else when it isolates the
   * connector. @returns whether it is gone
   */
  *requestUnplug(): Task<boolean> {
    this.#options.tracer.point(EVENT.spapr_drc_unplug_request, this.index);
    this.#unplugRequested = true;
    if (this.#state !== 'powered-on') {
      this.#options.tracer.point(EVENT.spapr_drc_awaiting_quiesce, this.index);
      return false;
    }
    yield* this.release();
    return true;
  }
  /** Takes the device out, whatever the guest has done. */
  *release(): Task {
    if (this.#device !== undefined) yield* this.#options.release(this.#device);
  }
  /** Machine reset (spapr_drc_reset): what was to go goes, what stays is the guest's as at power-on. */
  *reset(): Task {
    this.#options.tracer.point(EVENT.spapr_drc_reset, this.index);
    if (this.#unplugRequested) yield* this.release();
    this.#state = this.#device === undefined ? 'powered-on' : 'configured';
    this.#rewind();
  }

  // What the guest does

  /** set-indicator isolation-state. @returns the call's status */
  *setIsolation(wanted: number): Task<number> {
    this.#options.tracer.point(EVENT.spapr_drc_set_isolation_state, this.index, wanted);
    const transition = TRANSITIONS[this.#state][wanted];
    if (transition === undefined) return PARAM_ERROR;
    const { status, next, needsDevice } = transition;
    if (needsDevice === true && this.#device === undefined) return NO_SUCH_INDICATOR;
    if (next === undefined) return status;
    this.#state = next;
    this.#rewind();
    const device = this.#device;
    if (next === 'powered-on' && this.#unplugRequested && device !== undefined) {
      this.#options.tracer.point(EVENT.spapr_drc_set_isolation_state_finalizing, this.index);
      yield* this.release();
      this.#options.released(device);
    }
    return status;
  }
  /** set-indicator dr-indicator. @returns the call's status */
  setIndicator(wanted: number): number {
    if (!Object.values<number>(DR_INDICATOR_STATE).includes(wanted)) return PARAM_ERROR;
    this.#options.tracer.point(EVENT.spapr_drc_set_dr_indicator, this.index, wanted);
    this.#indicator = wanted;
    return SUCCESS;
  }
  /**
   * ibm,configure-connector: the next piece of the device's node. After the last one the device is configured, and the
   * pieces begin anew, so that a guest that has it may ask again.
   */
  configure(): ConfigureStep {
    if (this.#state === 'powered-on' || this.#device === undefined)
      return { response: CONFIGURE_CONNECTOR.NOT_CONFIGURABLE };
    this.#steps ??= stepsOf(this.#options.populate(this.#device));
    const step = this.#steps[this.#given++];
    if (step.response === CONFIGURE_CONNECTOR.SUCCESS) {
      this.#options.tracer.point(EVENT.spapr_drc_set_configured, this.index);
      this.#state = 'configured';
      this.#rewind();
    }
    return step;
  }
  #rewind(): void {
    this.#given = 0;
  }
}

/** A node as the calls of ibm,configure-connector tell it. */
function stepsOf({ name, properties }: DtNode): ConfigureStep[] {
  const { NEXT_CHILD, NEXT_PROPERTY, SUCCESS: FINISHED } = CONFIGURE_CONNECTOR;
  return [
    { response: NEXT_CHILD, name },
    ...properties.map((property) => ({ response: NEXT_PROPERTY, ...property })),
    { response: FINISHED },
  ];
}
