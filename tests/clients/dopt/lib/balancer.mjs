// How do several edges stand behind one name?
//
// A TCP balancer as a network would have it: it looks at the head of a
// connection's first request, sends the connection to an edge by a rule the
// case may set, goes on to the next edge when one does not answer, and knows
// nothing of what flows through. It can also fail as networks do.

import { once } from 'node:events';
import net from 'node:net';

/** Whether a connection's first request is the upgrade of a live socket. */
export const isSocket = (head) => head.startsWith('GET /v2/socket/');

/** A TCP reset, so that the other side sees a failure and no orderly end. */
function reset(socket) {
  // Node never closes a socket that is reset while it is shutting down, and
  // then hangs at its own end.
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

export class Balancer {
  #server;
  #edges;
  #pairs = new Set();
  /**
   * Which edge a connection goes to first: its number, by the head. One edge
   * unless a case says otherwise, as sticky balancers do: another edge hears of
   * a step a moment later, which cases of one edge need not wait for.
   */
  rule = () => 0;
  /** Connections whose head matches are reset instead of served. */
  refuses = () => false;
  /** The heads of all connections so far. */
  heads = [];

  /** `edges` gives the addresses, as they are now, as [host, port]. */
  static async listen(edges) {
    const balancer = new Balancer();
    balancer.#edges = edges;
    balancer.#server = net.createServer((client) => balancer.#accept(client));
    balancer.#server.listen(0, '127.0.0.1');
    await once(balancer.#server, 'listening');
    return balancer;
  }

  get port() {
    return this.#server.address().port;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Resets the connections whose head matches; how many there were. */
  cut(matches = () => true) {
    const pairs = [...this.#pairs].filter((pair) => matches(pair.head));
    for (const { client, edge } of pairs) {
      reset(client);
      reset(edge);
    }
    return pairs.length;
  }

  /**
   * From now on nothing passes on the connections that match, in the given
   * direction; they stay open.
   */
  freeze(matches, { toEdge = false, toClient = false }) {
    const pairs = [...this.#pairs].filter((pair) => matches(pair.head));
    for (const { client, edge } of pairs) {
      if (toEdge) client.unpipe(edge).pause();
      if (toClient) edge.unpipe(client).pause();
    }
    return pairs.length;
  }

  /** How many connections that match are open. */
  open(matches = () => true) {
    return [...this.#pairs].filter((pair) => matches(pair.head)).length;
  }

  close() {
    this.cut();
    this.#server.close();
  }

  #accept(client) {
    client.on('error', () => {});
    client.once('data', (first) => {
      client.pause();
      const head = first.toString('latin1');
      this.heads.push(head);
      if (this.refuses(head)) reset(client);
      else this.#connect(client, first, head, this.rule(head), 0);
    });
  }

  #connect(client, first, head, choice, tried) {
    const edges = this.#edges();
    if (tried === edges.length) {
      reset(client);
      return;
    }
    const [host, port] = edges[(choice + tried) % edges.length];
    const edge = net.connect({ host, port });
    const refused = () => this.#connect(client, first, head, choice, tried + 1);
    edge.once('error', refused);
    edge.once('connect', () => {
      edge.off('error', refused);
      this.#join({ client, edge, head }, first);
    });
  }

  #join(pair, first) {
    const { client, edge } = pair;
    this.#pairs.add(pair);
    const gone = () => this.#pairs.delete(pair);
    for (const [one, other] of [[client, edge], [edge, client]]) {
      one.on('error', () => reset(other));
      one.on('close', () => {
        gone();
        other.destroy();
      });
    }
    edge.write(first);
    client.pipe(edge);
    edge.pipe(client);
  }
}
