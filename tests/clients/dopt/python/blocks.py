"""What does Dopt's Python client of the blocks API get?

Its generated models are strict: a flow that is not as published does not parse.
Run by python.test.mjs, which says where and with which key.
"""

import asyncio
import os
import unittest

from dopt import BadRequestError, NotFoundError, UnauthorizedError
from dopt.client import AsyncDoptApi, DoptApi

URL = os.environ["DOPT_URL"]
KEY = os.environ["DOPT_KEY"]
# Written as `py+%2B1+%2F%26+%C3%A9` by this client, and kept as it stands here.
ODD = os.environ["DOPT_ODD_USER"]


def active(flow):
    return [block.sid.split(".")[1] for block in flow.blocks if block.state.active]


class Blocks(unittest.TestCase):
    def setUp(self):
        self.api = DoptApi(base_url=URL, api_key=KEY)

    def flow(self, sid, user, **more):
        return self.api.flows.get_flow(sid, user_identifier=user, include="block", **more)

    def test_a_flow_parses_and_is_started(self):
        for asked, number in (
            ({"version": 2}, 2),
            ({"version": 2.0}, 2),
            ({"tag": "latest"}, 2),
            ({"tag": "uncommitted"}, 0),
        ):
            flow = self.flow("welcome", "py-reader", **asked)
            self.assertEqual((flow.sid, flow.version), ("welcome", number))
            self.assertTrue(flow.state.started)
            self.assertEqual(active(flow), ["step1"])
        step = flow.blocks[0]
        values = {field.sid: field.value for field in step.fields}
        self.assertEqual(values["title"], "Hello")
        self.assertEqual(values["price"], 9.5)
        self.assertIs(values["hot"], True)
        self.assertIsNone(values["empty"])
        self.assertEqual(values["body"][0]["type"], "paragraph")
        bare = self.api.flows.get_flow("welcome", user_identifier="py-reader", version=2)
        self.assertIsNone(bare.blocks)

    def test_one_transition_and_several(self):
        step = self.flow("welcome", "py-step", version=2).blocks[0]
        known = {"user_identifier": "py-step", "version": 2}
        self.api.blocks.transition(step.uid, transitions=["next", "skip"], **known)
        self.api.blocks.transition(step.uid, transitions="next", **known)
        block = self.api.blocks.get_block(step.uid, **known)
        self.assertEqual(block.transitioned, {"next": True, "skip": True})
        self.assertTrue(block.state.exited)
        self.assertEqual(active(self.flow("welcome", "py-step", version=2)), ["step2", "extra"])

    def test_intents(self):
        known = {"user_identifier": "py-intent", "version": 1}
        self.assertFalse(self.flow("manual", "py-intent", version=1).state.started)
        self.api.flows.intent("manual", "start", **known)
        self.assertFalse(self.flow("manual", "py-intent", version=1).state.started)
        self.api.flows.intent("manual", "start", force=True, **known)
        self.assertTrue(self.flow("manual", "py-intent", version=1).state.started)
        self.api.flows.intent("manual", "finish", **known)
        self.assertTrue(self.flow("manual", "py-intent", version=1).state.finished)
        self.api.flows.intent("manual", "reset", force=False, **known)
        self.assertFalse(self.flow("manual", "py-intent", version=1).state.started)

    def test_ids_are_decoded_as_this_client_encodes_them(self):
        step = self.flow("welcome", ODD, version=2).blocks[0]
        self.api.blocks.transition(step.uid, transitions="next", user_identifier=ODD, version=2)
        self.assertEqual(active(self.flow("welcome", ODD, version=2)), ["step2"])

    def test_a_group_is_on_the_request(self):
        alone = self.flow("golden", "py-member", version=1)
        self.assertFalse(alone.state.started)
        flow = self.flow("golden", "py-member", group_identifier="py+group", version=1)
        self.assertTrue(flow.state.started)

    def test_errors_are_read(self):
        with self.assertRaises(NotFoundError) as caught:
            self.flow("nope", "py-lost", version=1)
        self.assertEqual(caught.exception.body["code"], "not_found_error")
        with self.assertRaises(BadRequestError) as caught:
            self.flow("welcome", "py-lost")
        self.assertEqual(caught.exception.body["code"], "invalid_request_error")
        step = self.flow("welcome", "py-lost", version=2).blocks[0]
        with self.assertRaises(BadRequestError):
            known = {"user_identifier": "py-lost", "version": 2}
            self.api.blocks.transition(step.uid, transitions=None, **known)
        self.api = DoptApi(base_url=URL, api_key="blocks-development-nobody")
        with self.assertRaises(UnauthorizedError) as caught:
            self.flow("welcome", "py-lost", version=2)
        self.assertEqual(caught.exception.body["code"], "unauthorized_error")

    def test_the_asynchronous_client(self):
        async def flows():
            api = AsyncDoptApi(base_url=URL, api_key=KEY)
            ask = [api.flows.get_flow("welcome", user_identifier="py-async", version=2) for _ in range(8)]
            return await asyncio.gather(*ask)

        self.assertEqual([flow.state.started for flow in asyncio.run(flows())], [True] * 8)


if __name__ == "__main__":
    unittest.main(verbosity=2)
