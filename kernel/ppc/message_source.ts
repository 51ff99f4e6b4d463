/** Where a device's message signalled interrupts come from: whoever has the device's DMA domain. */

/** A message that a device may send: what the kernel programs into it. */
export interface DeviceMessage {
  /** Bus address of the doorbell, as the device sees it. */
  readonly address: number;
  /** 32 bits, to be written little-endian. */
  readonly data: number;
  /** The device sends it no more. */
  free(): void;
}

export interface MessageSource {
  /**
   * A message; `handler` runs whenever it comes. @throws Errno ENODEV when no doorbell can be reached from the device,
   * ENOSPC when no vector is free
   */
  allocate(handler: () => void): DeviceMessage;
}
