// How does an SDK that has https://blocks.dopt.com baked in reach this machine?
//
// Loaded before everything else (`node --import`): `fetch` and `tls.connect` for
// *.dopt.com go to a local port as plain TCP. The SDK's files stay as published,
// and so do its requests but for the scheme.

import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import tls from 'node:tls';

const IS_DOPT = /(^|\.)dopt\.com$/;
let port = 0;

/** From now on *.dopt.com is this port of 127.0.0.1. */
export function pointDoptAt(local) {
  port = local;
}

function target() {
  if (port === 0) throw new Error('nobody said where *.dopt.com is');
  return port;
}

const realFetch = globalThis.fetch;
globalThis.fetch = function fetch(input, init) {
  const url = new URL(input instanceof Request ? input.url : input);
  if (!IS_DOPT.test(url.hostname)) return realFetch(input, init);
  // The text after the host is kept as it was written: how the SDK encodes
  // is part of what is tested.
  const rest = String(input).slice(url.origin.length);
  return realFetch(`http://127.0.0.1:${target()}${rest}`, init);
};

const realConnect = tls.connect;
tls.connect = function connect(options, ...more) {
  const host = options?.servername || options?.host;
  if (!IS_DOPT.test(host ?? '')) return realConnect(options, ...more);
  return net.connect({ host: '127.0.0.1', port: target() });
};
syncBuiltinESMExports();
