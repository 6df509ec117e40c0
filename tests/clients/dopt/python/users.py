"""What does Dopt's Python client of the users API get?

Run by python.test.mjs before blocks.py, which sees what was said here.
"""

import os
import unittest

from dopt import (
    BadRequestError,
    IdentifyBatchRequestBodyItem,
    IdentifyUserRequestBodyGroupsItem,
    UnauthorizedError,
)
from dopt.client import DoptApi

URL = os.environ["DOPT_URL"]
KEY = os.environ["DOPT_KEY"]


class Users(unittest.TestCase):
    def setUp(self):
        self.api = DoptApi(base_url=URL, api_key=KEY)

    def test_identify_with_a_group(self):
        group = IdentifyUserRequestBodyGroupsItem(identifier="py+group", properties={"tier": "gold"})
        properties = {"name": "Ada", "n": 1, "nested": {"a": [1]}, "gone": None}
        answer = self.api.users.identify_user(
            identifier="py-member", properties=properties, groups=[group]
        )
        self.assertIsNone(answer)

    def test_a_batch_is_counted(self):
        users = [
            IdentifyBatchRequestBodyItem(identifier=f"py-batch-{n}", properties={"plan": "pro"})
            for n in range(3)
        ]
        self.assertEqual(self.api.users.identify_users(request=users).count, 3)

    def test_a_group_alone(self):
        self.api.groups.identify_group(identifier="py-alone", properties={"tier": "silver"})

    def test_errors_are_read(self):
        with self.assertRaises(BadRequestError) as caught:
            self.api.users.identify_user(identifier="", properties={})
        self.assertEqual(caught.exception.body.code, "invalid_request_error")
        self.api = DoptApi(base_url=URL, api_key="users-development-nobody")
        with self.assertRaises(UnauthorizedError):
            self.api.users.identify_user(identifier="ada", properties={})


if __name__ == "__main__":
    unittest.main(verbosity=2)
