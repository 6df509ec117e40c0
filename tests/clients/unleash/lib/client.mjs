// How does a backend of a case have its client?
//
// As it is published, asking often, with nothing kept on disk; ready when a case
// gets it, ended with the case, and what it complains of is kept.

import { InMemStorageProvider, Unleash } from 'unleash-client';

import { within } from '../../dopt/lib/wait.mjs';

/** How a client can be told of flags. */
export const WAYS = {
  'all flags': { type: 'polling', format: 'full' },
  'what has changed': { type: 'polling', format: 'delta' },
  'a stream': { type: 'streaming' },
};

/** A client of the edge at this address, in one of these ways. */
export async function backend(t, { url, token, appName, mode, more = {} }) {
  const client = new Unleash({
    url: `${url}/api/`,
    appName,
    customHeaders: { Authorization: token },
    refreshInterval: 100,
    metricsInterval: 0,
    storageProvider: new InMemStorageProvider(),
    experimentalMode: mode,
    disableAutoStart: true,
    skipInstanceCountWarning: true,
    ...more,
  });
  t.after(() => client.destroy());
  client.complaints = [];
  client.on('error', (error) => client.complaints.push(String(error)));
  const synchronized = new Promise((resolve) => client.once('synchronized', resolve));
  await client.start();
  await within('the client is synchronized', synchronized);
  return client;
}
