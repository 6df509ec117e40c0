// Does @dopt/react work in a real browser?
//
// Its published bundle, from a page of another origin, through TLS: cross-origin
// rules, live updates and two tabs are the browser's, not a copy of them.

import './lib/strict.mjs';

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { isSocket } from './lib/balancer.mjs';
import { Browser, noBrowser } from './lib/browser.mjs';
import { openBlocks, openUsers } from './lib/dopt.mjs';
import { Site } from './lib/site.mjs';
import { eventually } from './lib/wait.mjs';

describe('a page with @dopt/react', { skip: noBrowser }, () => {
  let site;
  let browser;
  before(async () => {
    site = await Site.start();
    browser = await Browser.start(site);
  });
  after(async () => {
    await browser?.stop();
    await site?.stop();
  });

  const initialized = (page) => page.getByText('initialized', { exact: true }).first().waitFor();
  /** Waits until the block is shown as active, or as not. */
  const shows = (page, sid, active = true) =>
    page.locator(`[data-sid="${sid}"][data-active="${active}"]`).waitFor();
  const click = (page, sid, name) =>
    page.locator(`[data-sid="${sid}"] > button`, { hasText: name }).click();
  const flowIs = (page, sid, state) =>
    page.locator(`[data-flow="${sid}"][data-state="${state}"]`).waitFor();

  test('moves through tour, checklist and modal, and a second tab follows', async () => {
    const flows = { onboarding: 1 };
    const page = await browser.open('walker', flows);
    const tab = await browser.open('walker', flows);
    await Promise.all([initialized(page), initialized(tab)]);
    await flowIs(page, 'onboarding', 'true,false,false');
    // What happens in one tab is seen in both.
    const both = (sid, active) => Promise.all([shows(page, sid, active), shows(tab, sid, active)]);
    await both('onboarding.first');
    await click(page, 'onboarding.first', 'next');
    await both('onboarding.second');
    await both('onboarding.first', false);
    await click(tab, 'onboarding.second', 'previous');
    await both('onboarding.first');
    await click(page, 'onboarding.first', 'next');
    await both('onboarding.second');
    await click(page, 'onboarding.second', 'next');
    await both('onboarding.tour', false);
    await both('onboarding.name-it');
    await both('onboarding.paint-it');
    await click(page, 'onboarding.name-it', 'complete');
    await both('onboarding.name-it', false);
    await click(tab, 'onboarding.paint-it', 'skip');
    await both('onboarding.todo', false);
    await both('onboarding.thanks');
    await click(page, 'onboarding.thanks', 'dismiss');
    await Promise.all([page, tab].map((one) => flowIs(one, 'onboarding', 'true,false,true')));
    await page.getByRole('button', { name: 'reset' }).click();
    await both('onboarding.first');
    assert.deepEqual(browser.faults, []);
    const stored = await openBlocks(site, 'walker').flow('onboarding', 1);
    assert.deepEqual(stored.state, { started: true, stopped: false, finished: false });
  });

  test('is initialized only when the start it asked for has arrived', async () => {
    // The socket is held back, so that the page has read the flow as not started
    // before the user qualifies; then its own start is what begins it.
    site.balancer.refuses = isSocket;
    const page = await browser.open('starter', { paying: 1 });
    await page.locator('[data-flow="paying"][data-version="1"]').waitFor();
    const properties = { plan: 'pro' };
    await openUsers(site).users.identifyUser({ identifier: 'starter', properties });
    site.balancer.refuses = () => false;
    await initialized(page);
    await shows(page, 'paying.hello');
    const shown = await page.evaluate(() => window.shown);
    assert.ok(shown.some(({ pending, started }) => pending && !started), 'it waited for its start');
    // Without the exposed header the SDK reads "no effects" and is early.
    const early = shown.filter((one) => one.initialized && !one.started);
    assert.deepEqual(early, []);
    assert.deepEqual(browser.faults, []);
  });

  test('that may not begin is initialized, and begins when it is forced', async () => {
    const page = await browser.open('waiting', { manual: 1, nope: 3, welcome: 'latest' });
    await initialized(page);
    await flowIs(page, 'manual', 'false,false,false');
    await shows(page, 'welcome.step1');
    assert.equal(await openBlocks(site, 'waiting').intent('manual', 'start', 1, true), true);
    await shows(page, 'manual.hello');
    await flowIs(page, 'manual', 'true,false,false');
    assert.deepEqual(browser.faults, []);
  });

  test('follows a switch, and what happens while its edge is restarted', async () => {
    const page = await browser.open('steady', { switchable: 1, welcome: 2 });
    await initialized(page);
    await shows(page, 'switchable.hello');
    await site.command('flow', 'disable', 'switchable', '--environment', 'development');
    await shows(page, 'switchable.hello', false);
    await site.command('flow', 'enable', 'switchable', '--environment', 'development');
    await shows(page, 'switchable.hello');
    await site.edges[0].program.terminate();
    await site.edges[0].start();
    await eventually('a socket is open again', () => site.balancer.open(isSocket) > 0);
    await click(page, 'welcome.step1', 'skip');
    await shows(page, 'welcome.extra');
    assert.deepEqual(browser.faults, []);
  });
});
