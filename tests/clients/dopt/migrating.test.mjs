// What happens to users of an earlier version when a page asks for a newer one?
//
// Under each strategy: one user in the middle of version 1, one who has
// finished it, one who was stopped, and one who has never been there.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { active, blockOf, checkFlow, openBlocks } from './lib/dopt.mjs';
import { Site } from './lib/site.mjs';
import { eventually } from './lib/wait.mjs';

let site;
before(async () => {
  site = await Site.start();
});
after(() => site.stop());

/** Version 2 as this user gets it, after what they did in version 1. */
async function migrated(sid, user, earlier) {
  const api = openBlocks(site, `${sid}-${user}`);
  if (earlier) {
    const flow = checkFlow(await api.flow(sid, 1), sid, 1);
    await earlier(api, flow, sid);
  }
  const flow = checkFlow(await api.flow(sid, 2), sid, 2);
  const { started, stopped, finished } = flow.state;
  const said = [started && 'started', stopped && 'stopped', finished && 'finished'];
  return { flow, told: [...said.filter(Boolean), ...active(flow)].join(' ') };
}

const inTheMiddle = async (api, flow) => {
  assert.equal(await api.transition(blockOf(flow, 'step'), 'next'), true);
};
const done = async (api, flow) => {
  assert.equal(await api.transition(blockOf(flow, 'step'), 'end'), true);
};
const stopped = async (api, flow, sid) => {
  assert.equal(await api.intent(sid, 'stop', 1), true);
};

for (const [sid, wanted] of Object.entries({
  restarting: { middle: 'started step', done: 'started finished', stopped: 'started stopped' },
  'restarting-all': { middle: 'started step', done: 'started step', stopped: 'started step' },
  stopping: { middle: 'started stopped', done: 'started finished', stopped: 'started stopped' },
  carrying: { middle: 'started other', done: 'started finished', stopped: 'started stopped' },
})) {
  test(`${sid}: users of version 1 in version 2`, async () => {
    const told = {
      middle: (await migrated(sid, 'middle', inTheMiddle)).told,
      done: (await migrated(sid, 'done', done)).told,
      stopped: (await migrated(sid, 'stopped', stopped)).told,
    };
    assert.deepEqual(told, wanted);
    assert.equal((await migrated(sid, 'new')).told, 'started step');
  });
}

test('what was carried over keeps what was done', async () => {
  const { flow } = await migrated('carrying', 'keeps', inTheMiddle);
  const step = blockOf(flow, 'step');
  assert.deepEqual(step.state, { active: false, entered: true, exited: true });
  assert.deepEqual(step.transitioned, { next: true, end: false });
  assert.deepEqual(step.fields[0], { sid: 'title', type: 'string', value: 'New' });
});

test('version 1 is as it was left, also for who has seen version 2', async () => {
  const { told } = await migrated('restarting', 'returns', inTheMiddle);
  assert.equal(told, 'started step');
  const back = await openBlocks(site, 'restarting-returns').flow('restarting', 1);
  assert.deepEqual(active(back), ['other']);
});

test('latest moves on when a version is committed', async () => {
  const version = (number, title) => `
      - number: ${number}
        entry: everyone
        blocks: [{ sid: hello, type: card, fields: { title: ${title} } }]
        paths: [{ from: entry, to: hello }]`;
  const project = (...versions) => `
flowgate: project/1
project: clients
flows:
  - sid: growing
    versions:${versions.join('')}
`;
  await site.import(project(version(1, 'One')));
  const api = openBlocks(site, 'growing');
  await eventually('the first version', async () => (await api.flow('growing', 'latest')).version === 1);
  await site.import(project(version(1, 'One'), version(2, 'Two')));
  const flow = await eventually('the second version', async () => {
    const now = await api.flow('growing', 'latest');
    return now.version === 2 && now;
  });
  assert.equal(blockOf(flow, 'hello').fields[0].value, 'Two');
});
