// Do Dopt's published Python clients work?
//
// Their cases are in python/; here the site is started, and what came of them
// is looked up in the ledger. `run` installs the clients.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { Site } from './lib/site.mjs';
import { eventually } from './lib/wait.mjs';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const clients = { blocks: here('.python/blocks'), users: here('.python/users') };
const missing = Object.values(clients).find((folder) => !existsSync(folder));
const skip = missing && `${missing} is missing (tests/clients/dopt/run installs it, with python3 and pip)`;

const ODD_USER = 'py +1 /& é';

describe('the Python clients', { skip }, () => {
  let site;
  before(async () => {
    site = await Site.start();
  });
  after(() => site?.stop());

  /** Runs a file of cases with its client; both are a package `dopt`. */
  async function cases(name, key) {
    const env = {
      PATH: process.env.PATH,
      PYTHONPATH: name === 'users' ? `${clients.users}:${clients.blocks}` : clients.blocks,
      PYTHONDONTWRITEBYTECODE: '1',
      DOPT_URL: site.url,
      DOPT_KEY: key,
      DOPT_ODD_USER: ODD_USER,
    };
    const done = promisify(execFile)('python3', [here(`python/${name}.py`)], { env });
    const { stderr } = await done.catch((error) => assert.fail(error.stderr || String(error)));
    assert.match(stderr, /^Ran [1-9]\d* tests/m);
    assert.match(stderr, /^OK$/m);
  }

  test('of the users API', async () => {
    await cases('users', site.keys.users);
    const member = await eventually('the member is kept', () => site.ledger('py-member'));
    assert.deepEqual(member.properties, { name: 'Ada', n: 1, nested: { a: [1] } });
    assert.deepEqual(member.groups, ['py+group']);
    const { properties } = await eventually('the batch is kept', () => site.ledger('py-batch-2'));
    assert.deepEqual(properties, { plan: 'pro' });
  });

  test('of the blocks API', async () => {
    await cases('blocks', site.keys.blocks);
    const user = await eventually('the odd id is kept as it is', () => site.ledger(ODD_USER));
    assert.equal(user.identifier, ODD_USER);
  });
});
