// How does a case use Dopt's clients?
//
// As an application does, through their public names; every instance belongs to
// one case and is closed with it. Answers are held against the schemas Dopt
// published beside them.

import './strict.mjs';

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

import { blocksApi } from '@dopt/javascript-common';
import { DoptApiClient } from '@dopt/users-javascript-browser-client';
import { io } from 'socket.io-client';

import { pointDoptAt } from './redirect.mjs';
import { eventually } from './wait.mjs';

const require = createRequire(import.meta.url);
const schemas = require('@dopt/block-api-types');
const { Value } = require('@sinclair/typebox/value');

/** The header of intents and transitions. */
export const SIDE_EFFECTS = schemas.INTENT_SIDE_EFFECT_HEADER;

/** `@dopt/javascript` for one user, as a page would have it. */
export function openSdk(t, site, user, flows, { key = site.keys.blocks, ...more } = {}) {
  pointDoptAt(site.balancer.port);
  // Its stores are the module's: a fresh copy stands for another page. Its ES
  // entry does not load in this version of node.
  const file = require.resolve('@dopt/javascript');
  delete require.cache[file];
  const { Dopt } = require(file);
  const dopt = new Dopt({
    apiKey: key,
    userId: user,
    flowVersions: flows,
    logLevel: 'silent',
    ...more,
  });
  t.after(() => dopt.destroy());
  // Its watch is on its way when it is initialized, and taken when it is answered.
  dopt.watched = new Promise((resolve) => dopt.socket.once('flow', resolve));
  return dopt;
}

/** The HTTP half of the SDKs, as `@dopt/react` and newer ones use it. */
export function openBlocks(site, user, { key = site.keys.blocks, group, url = site.url } = {}) {
  const said = [];
  const note = (level) => (text) => said.push(`${level}: ${text}`);
  const logger = { debug() {}, info() {}, log: note('log'), warn: note('warn'), error: note('error') };
  const config = { urlPrefix: url, packageName: '@dopt/javascript', packageVersion: '3.1.1' };
  const api = blocksApi({ apiKey: key, userId: user, groupId: group, logger, config });
  return {
    said,
    flow: (sid, version) => api.getFlow({ sid, version }),
    block: ({ uid, sid, version }) => api.getBlock({ uid, sid, version }),
    intent: (sid, intent, version, force) => api.flowIntent({ sid, intent, version, force }),
    transition: (block, ...transitions) => api.blockIntent({ ...block, transitions }),
  };
}

/** The users API. */
export function openUsers(site, key = site.keys.users) {
  return new DoptApiClient({ environment: site.url, apiKey: key });
}

/**
 * A live socket as the newer SDKs open it. What it was sent stands in `events`;
 * `watch` is repeated on every `ready`, as they do.
 */
export function openSocket(t, site, user, { key = site.keys.blocks, group, watch = [], ...more } = {}) {
  const query = { endUserIdentifier: user, ...(group && { groupIdentifier: group }) };
  const socket = io(`${more.url ?? site.url}/v2/client`, {
    path: schemas.SOCKET_PATH,
    transports: ['websocket'],
    withCredentials: true,
    forceNew: true,
    query,
    auth: { 'x-api-key': key },
    ...more,
  });
  t.after(() => socket.close());
  const events = [];
  socket.onAny((name, ...words) => events.push({ name, words }));
  socket.on('ready', () => watch.forEach((words) => socket.emit('watch:flow', ...words)));
  socket.events = events;
  /** How many `ready` there were: one for each connection. */
  socket.readies = () => events.filter(({ name }) => name === 'ready').length;
  /** The newest flow the server told, by its sid. */
  socket.flow = (sid) =>
    events.findLast(({ name, words }) => name === 'flow' && words[0].sid === sid)?.words[0];
  /** The newest block the server told, by its qualified sid. */
  socket.block = (sid) =>
    events
      .filter(({ name }) => name === 'blocks')
      .flatMap(({ words }) => Object.values(words[0]))
      .findLast((block) => block.sid === sid);
  return socket;
}

/** Waits until a socket or an SDK says so. */
export const sees = (what, ask) => eventually(what, ask);

/** Fails unless the text is a flow as Dopt's own schema has it. */
export function checkFlow(flow, sid, version) {
  checkSchema(schemas.Flow, flow);
  assert.equal(flow.sid, sid);
  if (version !== undefined) assert.equal(flow.version, version);
  for (const block of flow.blocks ?? []) {
    checkSchema(schemas.Block, block);
    assert.ok(block.sid.startsWith(`${sid}.`), `${block.sid} names its flow`);
    assert.equal(block.version, flow.version);
  }
  return flow;
}

function checkSchema(schema, value) {
  const [fault] = Value.Errors(schema, value);
  assert.equal(fault, undefined, `${JSON.stringify(fault)} in ${JSON.stringify(value)}`);
}

/** Fails unless the answer is an error as the clients read it. */
export async function checkError(answer, status, code) {
  const text = await answer.text();
  assert.equal(answer.status, status, text);
  assert.match(answer.headers.get('content-type') ?? '', /^application\/json/);
  const body = JSON.parse(text);
  assert.equal(body.code, code);
  assert.equal(typeof body.details, 'string');
  return body.details;
}

/** The block of a flow by its own sid. */
export function blockOf(flow, sid) {
  const block = flow.blocks.find((one) => one.sid === `${flow.sid}.${sid}`);
  assert.ok(block, `${sid} in ${flow.blocks.map((one) => one.sid)}`);
  return block;
}

/** The sids of a flow's active blocks. */
export const active = (flow) =>
  flow.blocks.filter((block) => block.state.active).map((block) => block.sid.split('.')[1]);
