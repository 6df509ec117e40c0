// What does Dopt's users client get, and what does the store keep of it?

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { DoptApi } from '@dopt/users-javascript-browser-client';

import { checkError, openBlocks, openUsers } from './lib/dopt.mjs';
import { Site } from './lib/site.mjs';
import { eventually } from './lib/wait.mjs';

let site;
before(async () => {
  site = await Site.start();
});
after(() => site.stop());

/** The store's document of a user, once it is as wanted. */
const kept = (user, wanted) =>
  eventually(`the store keeps ${user}`, async () => {
    const document = await site.ledger(user);
    return document && wanted(document) && document;
  });

test('identify merges property by property and joins groups', async () => {
  const { users } = openUsers(site);
  await users.identifyUser({
    identifier: 'ada',
    properties: { name: 'A', n: 1, b: true, nested: { a: [1] }, z: null },
    groups: [{ identifier: 'g1', properties: { plan: 'pro' } }],
  });
  await users.identifyUser({ identifier: 'ada', properties: { n: 2 } });
  const document = await kept('ada', ({ properties }) => properties.n === 2);
  assert.deepEqual(document.properties, { name: 'A', n: 2, b: true, nested: { a: [1] } });
  assert.deepEqual(document.groups, ['g1']);
});

test('a batch is counted and takes effect for each', async () => {
  const { users } = openUsers(site);
  const identifiers = Array.from({ length: 100 }, (_, n) => `batch-${n}`);
  const answer = await users.identifyUsers(
    identifiers.map((identifier) => ({ identifier, properties: { plan: 'pro' } })),
  );
  assert.deepEqual(answer, { count: 100 });
  for (const user of ['batch-0', 'batch-99']) {
    assert.equal((await openBlocks(site, user).flow('paying', 1)).state.started, true, user);
  }
  await kept('batch-57', ({ properties }) => properties.plan === 'pro');
});

test('a group is known to its members', async () => {
  const { users, groups } = openUsers(site);
  await groups.identifyGroup({ identifier: 'team', properties: { tier: 'gold' } });
  await users.identifyUser({ identifier: 'of-team', properties: {} });
  const flow = await openBlocks(site, 'of-team', { group: 'team' }).flow('golden', 1);
  assert.equal(flow.state.started, true);
});

test('what cannot be taken is an error the client can read', async () => {
  const { users, groups } = openUsers(site);
  await assert.rejects(users.identifyUser({ identifier: '', properties: {} }), (error) => {
    assert.ok(error instanceof DoptApi.BadRequestError, `${error}`);
    assert.equal(error.body.code, 'invalid_request_error');
    assert.equal(typeof error.body.details, 'string');
    return true;
  });
  const many = Array.from({ length: 101 }, (_, n) => ({ identifier: `m${n}`, properties: {} }));
  await assert.rejects(users.identifyUsers(many), DoptApi.BadRequestError);
  await assert.rejects(groups.identifyGroup({ identifier: '', properties: {} }), DoptApi.BadRequestError);
  const stranger = openUsers(site, 'users-development-nobody');
  const ada = { identifier: 'ada', properties: {} };
  await assert.rejects(stranger.users.identifyUser(ada), DoptApi.UnauthorizedError);
  await assert.rejects(stranger.groups.identifyGroup(ada), DoptApi.UnauthorizedError);
});

test('a batch with one bad member keeps nothing of it', async () => {
  const { users } = openUsers(site);
  const good = { identifier: 'half', properties: { plan: 'pro' } };
  await assert.rejects(users.identifyUsers([good, { identifier: '', properties: {} }]), DoptApi.BadRequestError);
  assert.equal((await openBlocks(site, 'half').flow('paying', 1)).state.started, false);
});

test('the bare answers are as the generated clients read them', async () => {
  const send = (target, body, key = site.keys.users) =>
    site.ask('POST', target, {
      key,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const someone = { identifier: 'bare', properties: {} };
  for (const target of ['/identify', '/identify/group']) {
    const answer = await send(target, someone);
    assert.equal(answer.status, 204, target);
    assert.equal(await answer.text(), '');
  }
  const batch = await send('/identify/batch', [someone]);
  assert.equal(batch.status, 200);
  assert.deepEqual(await batch.json(), { count: 1 });
  // The older form: the user in the path, the properties alone in the body.
  const older = await send('/identify/older', { plan: 'pro' });
  assert.ok(older.ok, `${older.status}`);
  await older.text();
  await kept('older', ({ properties }) => properties.plan === 'pro');
  await checkError(await send('/identify', someone, site.keys.blocks), 403, 'unauthorized_error');
});
