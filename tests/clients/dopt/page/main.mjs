// What does an application with @dopt/react show?
//
// Every block of the flows named in the address, with a button for each of its
// transitions, and what the SDK says of itself. Each thing that was on the page
// is kept, so that a case can see what was there for a moment only.

import { DoptProvider, useContainer, useDoptInitialized, useFlow, useFlowStatus } from '@dopt/react';
import { StrictMode, createElement as h, useEffect } from 'react';
import { createRoot } from 'react-dom/client';

const asked = new URLSearchParams(location.search);
const flows = JSON.parse(asked.get('flows'));
window.shown = [];

function Block({ block }) {
  const { children } = useContainer(block.sid);
  const { active, entered, exited } = block.state;
  return h(
    'li',
    { 'data-sid': block.sid, 'data-active': active, 'data-state': [entered, exited].join() },
    `${block.type} ${block.field('title') ?? block.sid}`,
    Object.entries(block.transitioned).map(([name, taken]) =>
      h('button', { key: name, 'data-taken': taken, onClick: () => block.transition(name) }, name),
    ),
    children.length > 0 && h('ol', null, children.map((child) => h(Block, { key: child.sid, block: child }))),
  );
}

function Flow({ sid }) {
  const [flow, intent] = useFlow(sid);
  const initialized = useDoptInitialized();
  const status = useFlowStatus(sid);
  const { started, stopped, finished } = flow.state;
  useEffect(() => {
    window.shown.push({ sid, initialized, started, pending: status.pending });
  });
  const outer = flow.blocks.filter((block) => !block.containerUid);
  return h(
    'section',
    { 'data-flow': sid, 'data-version': flow.version, 'data-state': [started, stopped, finished].join() },
    h('output', null, initialized ? 'initialized' : 'waiting'),
    h('button', { onClick: () => intent.reset() }, 'reset'),
    h('ul', null, outer.map((block) => h(Block, { key: block.sid, block }))),
  );
}

const sdk = {
  userId: asked.get('user'),
  apiKey: asked.get('key'),
  flowVersions: flows,
  logLevel: 'silent',
};
const page = h(DoptProvider, sdk, Object.keys(flows).map((sid) => h(Flow, { key: sid, sid })));
// In development it mounts everything twice, as applications under test do.
createRoot(document.body).render(h(StrictMode, null, page));
