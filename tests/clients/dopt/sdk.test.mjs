// Does @dopt/javascript work as an application uses it?
//
// The published SDK with its address baked in, over HTTP and its live socket:
// from the first look to the last step, for who qualifies and who does not.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { isSocket } from './lib/balancer.mjs';
import { openBlocks, openSdk, openUsers } from './lib/dopt.mjs';
import { Site } from './lib/site.mjs';
import { eventually, within } from './lib/wait.mjs';

let site;
before(async () => {
  site = await Site.start();
});
after(() => site.stop());

/** An SDK that is initialized. */
async function open(t, user, flows, more) {
  const dopt = openSdk(t, site, user, flows, more);
  assert.equal(await within(`${user} is initialized`, dopt.initialized()), true);
  return dopt;
}

test('a page begins: started, every accessor, all kinds of fields', async (t) => {
  const dopt = await open(t, 'begins', { welcome: 2 });
  const flow = dopt.flow('welcome');
  assert.equal(await flow.initialized(), true);
  assert.equal(flow.version, 2);
  assert.deepEqual(flow.state, { started: true, stopped: false, finished: false });
  assert.deepEqual(
    flow.blocks.map((block) => block.sid),
    ['welcome.step1', 'welcome.step2', 'welcome.extra'],
  );
  const step = dopt.block('welcome.step1');
  assert.equal(dopt.block(step.uid).sid, 'welcome.step1');
  assert.deepEqual(step.state, { active: true, entered: true, exited: false });
  assert.deepEqual(step.transitioned, { next: false, skip: false });
  assert.equal(step.field('title'), 'Hello');
  assert.equal(step.field('price'), 9.5);
  assert.equal(step.field('hot'), true);
  assert.equal(step.field('empty'), null);
  assert.equal(step.field('missing'), undefined);
  assert.equal(step.field('body')[0].children[0].text, 'Hello');
});

test('a transition shows at once, and what follows from it is pushed', async (t) => {
  const dopt = await open(t, 'transition', { welcome: 2 });
  const step = dopt.block('welcome.step1');
  step.transition('next');
  assert.deepEqual(step.state, { active: false, entered: true, exited: true }, 'optimism');
  assert.equal(step.transitioned.next, false, 'what the server alone knows');
  await eventually('the push of the step', () => step.transitioned.next);
  await eventually('the push of what follows', () => dopt.card('welcome.step2').active);
  dopt.card('welcome.step2').complete();
  await eventually('the flow is finished', () => dopt.flow('welcome').state.finished);
  assert.equal(dopt.card('welcome.step2').completed, true);
});

test('without optimism only the push changes anything', async (t) => {
  const dopt = await open(t, 'patient', { welcome: 2 }, { optimisticUpdates: false });
  await within('its watch is taken', dopt.watched);
  const step = dopt.block('welcome.step1');
  const heard = new Promise((resolve) => {
    step.subscribe(({ state }) => state.active || resolve());
  });
  step.transition('next', 'skip');
  assert.equal(step.state.active, true);
  await within('the push, as subscribers hear it', heard);
  assert.deepEqual(step.transitioned, { next: true, skip: true });
  await eventually('both ways are taken', () =>
    ['welcome.step2', 'welcome.extra'].every((sid) => dopt.block(sid).state.active),
  );
});

test('intents of a flow come back by the socket', async (t) => {
  const dopt = await open(t, 'intents', { welcome: 2 });
  const flow = dopt.flow('welcome');
  const step = dopt.block('welcome.step1');
  flow.stop();
  await eventually('stopped', () => flow.state.stopped && !step.state.active);
  flow.finish();
  await eventually('finished', () => flow.state.finished && !flow.state.stopped);
  flow.reset();
  await eventually('begun anew', () => !flow.state.finished && step.state.active);
  assert.equal(flow.state.started, true);
  flow.start();
  // A start of a started flow is no fault; the page goes on.
  step.transition('next');
  await eventually('the next step', () => dopt.block('welcome.step2').state.active);
});

test('tour, checklist and modal from one end to the other', async (t) => {
  const dopt = await open(t, 'walks', { onboarding: 1 });
  const tour = dopt.tour('onboarding.tour');
  assert.deepEqual(tour.items.map((item) => item.title), ['Start here', 'Then there']);
  assert.deepEqual(tour.items.map((item) => item.active), [true, false]);
  tour.items[0].next();
  await eventually('the second', () => tour.items[1].active);
  tour.items[1].back();
  await eventually('the first again', () => tour.items[0].active && !tour.items[1].active);
  tour.items[0].next();
  await eventually('the second again', () => tour.items[1].active);
  tour.items[1].next();
  await eventually('the tour is completed', () => tour.completed && !tour.active);

  const todo = dopt.checklist('onboarding.todo');
  await eventually('all items at once', () => todo.active && todo.filter('active').length === 2);
  todo.items[0].complete();
  await eventually('one is done', () => todo.count('completed') === 1 && todo.active);
  todo.items[1].skip();
  await eventually('the list completes itself', () => todo.completed && !todo.active);

  const thanks = dopt.modal('onboarding.thanks');
  await eventually('the modal', () => thanks.active);
  assert.equal(thanks.completeLabel, 'Done');
  thanks.dismiss();
  await eventually('the end', () => dopt.flow('onboarding').state.finished && thanks.dismissed);
});

test('who does not qualify is initialized, too, and starts later', async (t) => {
  const dopt = await open(t, 'hopeful', { paying: 1, manual: 1 });
  assert.equal(await dopt.flow('paying').initialized(), true);
  assert.equal(dopt.flow('paying').state.started, false);
  assert.equal(dopt.flow('manual').state.started, false);
  const properties = { plan: 'pro' };
  await openUsers(site).users.identifyUser({ identifier: 'hopeful', properties });
  dopt.flow('paying').start();
  await eventually('started', () => dopt.flow('paying').state.started);
  await eventually('its block', () => dopt.card('paying.hello').active);
  // Somebody else forces the other one.
  assert.equal(await openBlocks(site, 'hopeful').intent('manual', 'start', 1, true), true);
  await eventually('forced', () => dopt.card('manual.hello').active);
});

test('a group is on both ways', async (t) => {
  const groups = [{ identifier: 'acme', properties: { tier: 'gold' } }];
  await openUsers(site).users.identifyUser({ identifier: 'colleague', properties: {}, groups });
  const dopt = await open(t, 'colleague', { golden: 1 }, { groupId: 'acme' });
  assert.equal(dopt.flow('golden').state.started, true);
  dopt.card('golden.hello').dismiss();
  await eventually('dismissed', () => dopt.card('golden.hello').dismissed);
});

test('latest is the newest version, and hears of its steps', async (t) => {
  const dopt = await open(t, 'newest', { welcome: 'latest' });
  assert.equal(dopt.flow('welcome').version, 2);
  dopt.block('welcome.step1').transition('next');
  await eventually('the push', () => dopt.card('welcome.step2').active);
});

test('a flow that is not there leaves the others alone', async (t) => {
  const dopt = await open(t, 'mixed', { welcome: 2, nope: 7, onboarding: 99 });
  assert.equal(await dopt.flow('welcome').initialized(), true);
  assert.equal(await dopt.flow('nope').initialized(), false);
  assert.equal(await dopt.flow('onboarding').initialized(), false);
  assert.deepEqual(dopt.flow('nope').blocks, []);
  dopt.block('welcome.step1').transition('skip');
  await eventually('the push', () => dopt.modal('welcome.extra').active);
  // A block nobody has is the client's own default.
  assert.equal(dopt.block('welcome.nope').version, -1);
});

test('nothing committed is an empty flow, not a failed one', async (t) => {
  const dopt = await open(t, 'empty', { sketch: 'latest' });
  assert.equal(await dopt.flow('sketch').initialized(), true);
  assert.equal(dopt.flow('sketch').state.started, false);
  assert.deepEqual(dopt.flow('sketch').blocks, []);
});

test('two pages of one user follow each other', async (t) => {
  const [one, two] = [await open(t, 'tabs', { welcome: 2 }), await open(t, 'tabs', { welcome: 2 })];
  one.block('welcome.step1').transition('next');
  await eventually('the other page', () => two.card('welcome.step2').active);
  two.card('welcome.step2').complete();
  await eventually('and back', () => one.flow('welcome').state.finished);
});

test('user ids are the same over HTTP and over the socket', async (t) => {
  for (const user of ['joe+test@example.com', 'zoë ☃', 'two words', "o'hara/é"]) {
    const dopt = await open(t, user, { welcome: 2 });
    dopt.block('welcome.step1').transition('next');
    await eventually(`the push for ${user}`, () => dopt.card('welcome.step2').active);
  }
});

test('a flow that is switched off stands still on open pages, and goes on after', async (t) => {
  const dopt = await open(t, 'switched', { switchable: 1 });
  const hello = dopt.card('switchable.hello');
  assert.equal(hello.active, true);
  await site.command('flow', 'disable', 'switchable', '--environment', 'development');
  await eventually('the page hears of it', () => !hello.active);
  assert.equal(hello.state.entered, true);
  await site.command('flow', 'enable', 'switchable', '--environment', 'development');
  await eventually('and that it is on again', () => hello.active);
});

test('a bad key leaves defaults, and is not tried again and again', async (t) => {
  const dopt = openSdk(t, site, 'stranger', { welcome: 2 }, { key: 'blocks-development-nobody' });
  const refused = new Promise((resolve) => dopt.socket.on('connect_error', resolve));
  const error = await within('the refusal', refused);
  assert.ok(error.message, 'it says why');
  assert.equal(dopt.socket.active, false, 'the client does not try again');
  await eventually('the default of the client', () => dopt.flow('welcome').blocks.length === 0);
  const late = Symbol('pending');
  const first = await Promise.race([dopt.initialized(), Promise.resolve(late)]);
  assert.equal(first, late, 'it never becomes initialized');
});

test('a page that leaves is gone', async (t) => {
  const own = (head) => isSocket(head) && head.includes('endUserIdentifier=leaver');
  const dopt = await open(t, 'leaver', { welcome: 2 });
  assert.equal(site.balancer.open(own), 1);
  dopt.destroy();
  await eventually('its connection is closed', () => site.balancer.open(own) === 0);
});
