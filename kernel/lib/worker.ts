/** A worker thread's main: offers the thread of one actor to whoever created it. */
import { parentPort } from 'node:worker_threads';
import * as comlink from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { ActorThread } from './actor_thread.ts';
import { registerTransferHandlers } from './transfer.ts';

registerTransferHandlers();
if (parentPort !== null) comlink.expose(new ActorThread(), nodeEndpoint(parentPort));
