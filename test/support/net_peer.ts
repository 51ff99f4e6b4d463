/**
 * The other guest at the cable of a net guest with `peer=1`, as a plain reference: the protocol of
 * guest/programs/net/peer_frame.h, every byte that comes checked. It takes the place of the engine of a NIC that the
 * machine under test does not have plugged in, and faults are the cable's: a filter for each direction.
 */
import { partnerOf } from '../../devices/physical/net/wire.ts';
import type { ActorContext, Running } from '../../kernel/lib/actor_module.ts';
import { type Actor, sleep, type Task, untilDeadline } from '../../kernel/lib/task.ts';
import { type CablePlace, HostCableEnd } from './host_cable_end.ts';
import { EVERYBODY, KIND, makeFrame, type PeerFrame, readFrame } from './net_peer_frame.ts';

/** Bytes of a frame in the streams of each way of mapping. */
const SIZES = [1514, 9014] as const;
/** Ways of mapping: enum way of guest/programs/net/ways.h. */
const WAYS = 4;
/** Frames that the guest may send before it hears of them: less than the guest's own, so that it is looked at. */
const WINDOW = 24;
/** Nanoseconds after which what may have been lost is said again: the first time, then twice as long each time up to the last. */
const REPEAT_NS = { first: 3e6, last: 200e6 } as const;
/** Nanoseconds without a word after which a peer that has nothing more to do leaves. */
const LINGER_NS = 1e9;

/** What a cable makes of a frame: it, others in its place, or none. */
export type CableFilter = (bytes: Uint8Array, frame: PeerFrame | undefined) => readonly Uint8Array[];

/** The actor's configuration; with functions, so for the simulated scheduler only. */
export interface NetPeerConfig extends CablePlace {
  /** Frames of each of its streams. */
  readonly frames: number;
  /** Ways of mapping it says it has, 1 << way; all when omitted. */
  readonly ways?: number;
  /** When it begins to listen; at once when omitted. */
  readonly startNs?: number;
  readonly toGuest?: CableFilter;
  readonly toPeer?: CableFilter;
}

/** What `finish` gives. */
export interface NetPeerReport {
  /** What the guest did that it must not. */
  readonly problems: readonly string[];
  /** Frames of each stream that is over. */
  readonly streams: readonly { readonly stream: number; readonly sent: number; readonly received: number }[];
  /** Greetings of the guest. */
  readonly greetings: number;
  /** The guest said that it gives up. */
  readonly gaveUp: boolean;
}

/** One stream in each direction. */
class Conversation {
  readonly stream: number;
  readonly size: number;
  readonly frames: number;
  sent = 0;
  acknowledged = 0;
  received = 0;
  told = 0;
  bye = false;
  lastBye = false;
  saidBye = false;
  saidHeard = false;
  /** Its last word, with what it told; undefined before the first. */
  guest: PeerFrame | undefined;

  constructor(stream: number, frames: number) {
    this.stream = stream;
    this.frames = stream === 0 ? 0 : frames;
    this.size = SIZES[(stream + 1) % 2];
  }
  get complete(): boolean {
    return this.guest !== undefined && this.acknowledged === this.frames && this.received === this.guest.frames;
  }
  get parted(): boolean {
    return this.complete && this.lastBye && this.saidHeard;
  }
}

class NetPeer {
  readonly #actor: Actor;
  readonly #config: NetPeerConfig;
  readonly #own: string;
  readonly #guest: string;
  readonly problems: string[] = [];
  readonly streams: { stream: number; sent: number; received: number }[] = [];
  greetings = 0;
  gaveUp = false;
  /** Frames for the guest that are not on the cable yet. */
  readonly out: Uint8Array[] = [];
  #plan = [0];
  #now: Conversation | undefined;
  #repeatAt = 0;
  #pause: number = REPEAT_NS.first;
  #progress = 0;

  constructor(actor: Actor, config: NetPeerConfig) {
    this.#actor = actor;
    this.#config = config;
    this.#own = config.nics[config.nic].mac;
    this.#guest = config.nics[partnerOf(config.nics, config.nic) as number].mac;
    this.#next();
  }

  get deadline(): number {
    return this.#repeatAt;
  }

  /** A frame off the cable. */
  take(bytes: Uint8Array): void {
    for (const passed of this.#config.toPeer?.(bytes, readFrame(bytes)) ?? [bytes]) this.#take(passed);
  }

  #take(bytes: Uint8Array): void {
    const frame = readFrame(bytes);
    if (frame === undefined) {
      this.#complain(`a frame of ${bytes.length} bytes that is none of the protocol`);
      return;
    }
    if (frame.kind === KIND.GIVE_UP) {
      this.gaveUp = true;
      this.#now = undefined;
      return;
    }
    const now = this.#now;
    if (now === undefined || frame.stream < now.stream) return;
    if (frame.stream > now.stream) {
      if (!now.complete) this.#complain(`stream ${frame.stream} before stream ${now.stream} was over`);
      if (this.#plan[0] !== frame.stream) this.#complain(`stream ${frame.stream} in place of ${this.#plan[0]}`);
      // It did not listen yet when this came.
      this.#next();
      return;
    }
    this.#check(now, bytes, frame);
    if (frame.kind === KIND.HELLO) this.greetings++;
    if (now.guest === undefined && now.stream === 0) this.#makePlan(frame.ways);
    now.guest = frame;
    this.#pause = REPEAT_NS.first;
    this.#progress = this.#actor.now();
    now.acknowledged = frame.received;
    if (frame.kind === KIND.DATA) now.received++;
    if (frame.kind === KIND.BYE) {
      if (!now.complete) this.#complain(`BYE in stream ${now.stream} before it was over`);
      now.bye = true;
      now.lastBye ||= frame.heard === 1;
      // It did not hear ours, or ours did not say that we heard one.
      if (frame.heard === 0 || !now.saidHeard) now.saidBye = false;
    }
  }

  /** That every word and every byte is as it must be. */
  #check(now: Conversation, bytes: Uint8Array, frame: PeerFrame): void {
    const { guest, stream } = now;
    const must: PeerFrame = {
      ...frame,
      from: this.#guest,
      to: guest === undefined && frame.kind === KIND.HELLO ? EVERYBODY : this.#own,
      number: frame.kind === KIND.DATA ? now.received : 0,
      frames: guest?.frames ?? frame.frames,
      ways: guest?.ways ?? frame.ways,
      wrong: 0,
      heard: now.saidBye || frame.heard === 0 ? frame.heard : 0,
    };
    if (frame.kind === KIND.HELLO) Object.assign(must, { to: EVERYBODY, received: 0, heard: 0 });
    const right = makeFrame(must, now.size);
    const same = Buffer.compare(bytes, right) === 0;
    const at = same ? -1 : [...right].findIndex((byte, i) => byte !== bytes[i]);
    const what = `kind ${frame.kind} number ${frame.number} of stream ${stream}`;
    if (!same) this.#complain(`${what}: byte ${at} of ${bytes.length} is ${bytes[at]} in place of ${right[at]}`);
    if (frame.received < now.acknowledged || frame.received > now.sent)
      this.#complain(`${what}: ${frame.received} received of ${now.sent} sent, after ${now.acknowledged}`);
    if (frame.kind !== KIND.DATA) return;
    if (frame.number >= now.told + WINDOW) this.#complain(`${what}: no room, ${now.told} were acknowledged`);
    if (frame.number >= frame.frames) this.#complain(`${what}: ${frame.frames} were announced`);
  }

  #complain(problem: string): void {
    if (this.problems.length < 10) this.problems.push(problem);
  }

  /** Streams of the ways of mapping that both have. */
  #makePlan(ways: number): void {
    const common = ways & (this.#config.ways ?? (1 << WAYS) - 1);
    for (let way = 0; way < WAYS; way++)
      if ((common & (1 << way)) !== 0) this.#plan.push(...SIZES.map((_, i) => 1 + way * SIZES.length + i));
  }

  #next(): void {
    const over = this.#now;
    if (over !== undefined) this.streams.push({ stream: over.stream, sent: over.sent, received: over.received });
    const stream = this.#plan.shift();
    this.#now = stream === undefined ? undefined : new Conversation(stream, this.#config.frames);
    this.#repeatAt = 0;
    this.#pause = REPEAT_NS.first;
    this.#progress = this.#actor.now();
  }

  /** Says what is due. */
  speak(): void {
    const now = this.#now;
    if (now === undefined) {
      this.#repeatAt = Number.POSITIVE_INFINITY;
      return;
    }
    while (now.guest !== undefined && now.sent < now.frames && now.sent < now.acknowledged + now.guest.window)
      this.#say(now, KIND.DATA);
    const kind = now.guest === undefined ? KIND.HELLO : now.complete ? KIND.BYE : KIND.ACK;
    const untold = now.received - now.told;
    const owed = untold >= WINDOW / 4 || (untold > 0 && now.received === now.guest?.frames);
    const due = this.#actor.now() >= this.#repeatAt;
    if (due) this.#pause = Math.min(this.#pause * 2, REPEAT_NS.last);
    if (due || (kind === KIND.ACK && owed) || (kind === KIND.BYE && !now.saidBye)) this.#say(now, kind);
    if (now.parted || (now.complete && this.#actor.now() - this.#progress > LINGER_NS)) this.#next();
  }

  #say(now: Conversation, kind: number): void {
    const { stream, frames, received, guest } = now;
    const number = kind === KIND.DATA ? now.sent++ : 0;
    const to = guest === undefined ? EVERYBODY : this.#guest;
    const ways = this.#config.ways ?? (1 << WAYS) - 1;
    const heard = now.bye ? 1 : 0;
    const words = { kind, stream, number, frames, received, window: WINDOW, ways, wrong: 0, heard };
    const frame = { to, from: this.#own, ...words };
    const bytes = makeFrame(frame, now.size);
    this.out.push(...(this.#config.toGuest?.(bytes, frame) ?? [bytes]));
    now.told = received;
    now.saidBye ||= kind === KIND.BYE;
    now.saidHeard ||= kind === KIND.BYE && now.bye;
    this.#repeatAt = this.#actor.now() + this.#pause;
  }
}

/** @see ActorModule */
export function start({ actor, memory, map, config }: ActorContext<NetPeerConfig>): Running {
  const cable = new HostCableEnd(memory, map, config);
  const peer = new NetPeer(actor, config);
  const { startNs = 0 } = config;
  function* converse(): Task {
    for (;;) {
      for (let bytes = cable.take(); bytes !== undefined; bytes = cable.take())
        if (actor.now() >= startNs) peer.take(bytes);
      if (actor.now() < startNs) {
        yield* sleep(actor, 1e6);
        continue;
      }
      peer.speak();
      while (peer.out.length > 0 && cable.send(peer.out[0])) peer.out.shift();
      const more = () => cable.news() || (peer.out.length > 0 && cable.fits(peer.out[0]));
      yield* untilDeadline('frames for the peer', more, peer.deadline);
    }
  }
  actor.spawn('peer at the cable', converse());
  return {
    finish: (): NetPeerReport => {
      const { problems, streams, greetings, gaveUp } = peer;
      return { problems, streams, greetings, gaveUp };
    },
  };
}
