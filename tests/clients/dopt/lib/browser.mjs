// How does a real browser reach the site under Dopt's own names?
//
// Headless Chromium with a resolver rule for blocks.dopt.com, which leads to a
// TLS front with a certificate made for the case; behind it is the one name of
// the site. The page is bundled from the SDK as published.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { build } from 'esbuild';
import { chromium } from 'playwright-core';

import { DEADLINE_MS } from './wait.mjs';

const EXECUTABLE = '/usr/bin/chromium';

/** Why there can be no browser; false when there can. */
export const noBrowser = !existsSync(EXECUTABLE) && `${EXECUTABLE} is missing (install chromium)`;

async function listening(server) {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server.address().port;
}

async function certificate(folder) {
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => path.join(folder, name));
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-days', '1', '-subj', '/CN=blocks.dopt.com', '-addext', 'subjectAltName=DNS:blocks.dopt.com'],
    ...['-keyout', key, '-out', cert],
  ]);
  return { key: await readFile(key), cert: await readFile(cert) };
}

async function bundle() {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('../page/main.mjs', import.meta.url))],
    bundle: true,
    write: false,
    format: 'iife',
    define: { 'process.env.NODE_ENV': '"development"' },
  });
  return outputFiles[0].text;
}

export class Browser {
  #servers = [];
  /** What pages threw or left unhandled. */
  faults = [];

  static async start(site) {
    const browser = new Browser();
    browser.site = site;
    browser.folder = await mkdtemp(path.join(os.tmpdir(), 'flowgate-dopt-browser-'));
    const front = tls.createServer(await certificate(browser.folder), (socket) => {
      const plain = net.connect({ host: '127.0.0.1', port: site.balancer.port });
      socket.pipe(plain).pipe(socket);
      socket.on('error', () => plain.destroy());
      plain.on('error', () => socket.destroy());
      plain.on('close', () => socket.destroy());
    });
    const script = await bundle();
    const pages = http.createServer((request, response) => {
      const isScript = request.url === '/main.js';
      response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html; charset=utf-8');
      response.end(isScript ? script : '<!doctype html><body><script src="/main.js"></script>');
    });
    browser.#servers = [front, pages];
    const [secure, plain] = [await listening(front), await listening(pages)];
    browser.origin = `http://localhost:${plain}`;
    const rules = `MAP blocks.dopt.com:443 127.0.0.1:${secure}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost`;
    browser.context = await chromium.launchPersistentContext(path.join(browser.folder, 'user'), {
      executablePath: EXECUTABLE,
      headless: true,
      args: [
        ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
        ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
        ...[`--host-resolver-rules=${rules}`, '--ignore-certificate-errors'],
      ],
      timeout: DEADLINE_MS,
    });
    browser.context.setDefaultTimeout(DEADLINE_MS);
    return browser;
  }

  /** A tab with the page for this user and these flows. */
  async open(user, flows) {
    const page = await this.context.newPage();
    page.on('pageerror', (error) => this.faults.push(`${user}: ${error}`));
    const asked = { user, flows: JSON.stringify(flows), key: this.site.keys.blocks };
    await page.goto(`${this.origin}/?${new URLSearchParams(asked)}`);
    return page;
  }

  async stop() {
    await this.context.close();
    for (const server of this.#servers) server.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
