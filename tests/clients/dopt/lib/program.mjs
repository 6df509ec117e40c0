// How is the real binary started, watched and ended?
//
// As an operator does it: arguments, one line of JSON when it is ready, signals
// by process id. Whatever is still running when the cases end is killed.

import { execFile, spawn } from 'node:child_process';
import { createWriteStream, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { within } from './wait.mjs';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

/** The binary under test. */
export const FLOWGATE = process.env.FLOWGATE_BIN ?? path.join(ROOT, 'target/ci/flowgate');
if (!existsSync(FLOWGATE)) {
  throw new Error(`no binary at ${FLOWGATE} (tests/clients/dopt/run builds it)`);
}

// A developer's own settings must not decide a case.
const ENVIRONMENT = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('FLOWGATE_')),
);

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/** A running process. */
export class Program {
  #child;
  #log;

  /** Starts it and waits for its line of JSON; its log goes to a file. */
  static async start(words, log) {
    const program = new Program();
    const child = spawn(FLOWGATE, words, {
      env: ENVIRONMENT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stderr.pipe(createWriteStream(log, { flags: 'a' }));
    running.add(child);
    program.#child = child;
    program.#log = log;
    /** Code and signal, once it has ended. */
    program.ended = new Promise((resolve) => {
      child.on('exit', (code, signal) => {
        running.delete(child);
        resolve({ code, signal });
      });
    });
    const lines = readline.createInterface({ input: child.stdout });
    const first = new Promise((resolve) => lines.once('line', resolve));
    const line = await within(
      `the ready line of ${words[0]}`,
      Promise.race([first, program.ended.then(() => 'ended')]),
    );
    if (!line.startsWith('{')) throw new Error(`${words[0]}: ${line}; its log: ${program.log()}`);
    /** What it printed: the addresses it got. */
    program.ready = JSON.parse(line);
    return program;
  }

  /** Its log so far. */
  log() {
    return existsSync(this.#log) ? readFileSync(this.#log, 'utf8') : '';
  }

  /** SIGKILL: no chance to clean up. */
  async kill() {
    this.#child.kill('SIGKILL');
    await within('the end after SIGKILL', this.ended);
  }

  /** SIGTERM, and how it ended. */
  async terminate() {
    this.#child.kill('SIGTERM');
    return within('the end after SIGTERM', this.ended);
  }
}

/** Runs one command to its end and returns its standard output. */
export async function run(words, env = {}) {
  const { stdout } = await promisify(execFile)(FLOWGATE, words, {
    env: { ...ENVIRONMENT, ...env },
  });
  return stdout;
}
