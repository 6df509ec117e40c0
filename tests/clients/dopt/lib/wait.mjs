// How does a case wait for what it cannot see coming?
//
// By asking again until a deadline that is far beyond what any machine needs;
// nothing is asserted about time, and no pause stands for an event.

import { setTimeout as pause } from 'node:timers/promises';

/** Beyond this something is broken, on however slow a machine. */
export const DEADLINE_MS = 60_000;

/**
 * Asks until the answer is neither false, null nor undefined, and returns it.
 * What the last try threw is told when the time is over.
 */
export async function eventually(what, ask, deadline = DEADLINE_MS) {
  const end = Date.now() + deadline;
  let last;
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== false && answer !== null && answer !== undefined) return answer;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) {
      throw new Error(`never came: ${what}`, { cause: last });
    }
    await pause(20);
  }
}

/** The promise, or an error that names it when the deadline passes first. */
export async function within(what, promise, deadline = DEADLINE_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`never came: ${what}`)), deadline);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
