#!/usr/bin/env python3
"""The stand-in for AWS, driven by python3-botocore's own clients: what it takes and says is what AWS's library sends and
reads, and what it refuses is refused in the library's words. The five private calls get a model of their own."""
import json
import os
import shutil
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "servers"))
import aws_server  # noqa: E402

import botocore.session  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
MACHINE = "arn:aws:states:eu-west-1:111122223333:stateMachine:rotate"
TOPIC = "arn:aws:sns:eu-west-1:111122223333:t"
YEAR_S = 365 * 86400


def structure(**members):
    return {"type": "structure", "members": {k: {"shape": v} for k, v in members.items()}}


def model():
    """The operations as the console's JavaScript has them."""
    store, tenant = {"IdentityStoreId": "S"}, {"IdentityStoreId": "S", "TenantId": "S"}
    shapes = {"S": {"type": "string"}, "T": {"type": "timestamp"},
              "Tenant": structure(TenantId="S", ScimEndpoint="S", CreationTime="T"), "Tenants": {"type": "list", "member": {"shape": "Tenant"}},
              "Token": structure(TokenId="S", Token="S", CreationTime="T", ExpirationTime="T"),
              "Tokens": {"type": "list", "member": {"shape": "Token"}}, "Empty": structure()}
    operations = {}
    for name, asked, said in (("ListProvisioningTenants", store, structure(ProvisioningTenants="Tenants")),
                              ("ListBearerTokens", tenant, structure(BearerTokens="Tokens")),
                              ("CreateBearerToken", tenant, structure(BearerToken="Token")),
                              ("DeleteBearerToken", {**tenant, "TokenId": "S"}, structure())):
        shapes[name + "Request"], shapes[name + "Response"] = structure(**asked), said
        operations[name] = {"name": name, "http": {"method": "POST", "requestUri": "/"}, "input": {"shape": name + "Request"},
                            "output": {"shape": name + "Response"}}
    return {"version": "2.0", "metadata": {"apiVersion": "2019-11-01", "endpointPrefix": "identitystore", "jsonVersion": "1.1",
                                           "protocol": "json", "serviceFullName": "AWS Identity Store", "serviceId": "idprivate",
                                           "signatureVersion": "v4", "signingName": "identitystore",
                                           "targetPrefix": "AWSIdentityStoreService", "uid": "x"},
            "operations": operations, "shapes": shapes}


class Peer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="mailhook-peer.")
        folder = os.path.join(cls.dir, "idprivate/2019-11-01")
        os.makedirs(folder)
        with open(os.path.join(folder, "service-2.json"), "w") as f:
            json.dump(model(), f)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.dir)

    def setUp(self):
        self.aws = aws_server.AwsServer()
        self.session = botocore.session.Session(session_vars={"config_file": (None, None, "/nonexistent", None)})
        self.session.get_component("data_loader").search_paths.append(self.dir)

    def tearDown(self):
        self.aws.stop()

    def client(self, service, path="", **more):
        keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": KEY, **more}
        return self.session.create_client(service, region_name="eu-west-1", endpoint_url=self.aws.url + path,
                                          config=Config(retries={"max_attempts": 0}, read_timeout=10), **keys)

    def refused(self, code, call, **asked):
        with self.assertRaises(ClientError) as caught:
            call(**asked)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)
        return caught.exception.response["Error"].get("Message", "")

    def test_identity_center(self):
        self.aws.identity_center.account = "111122223333"
        center, client = self.aws.identity_center, self.client("idprivate", "/identitystore/")
        (instance,) = self.client("sso-admin").list_instances()["Instances"]
        self.assertEqual(instance["IdentityStoreId"], center.store)
        of_store = {"IdentityStoreId": center.store}
        (tenant,) = client.list_provisioning_tenants(**of_store)["ProvisioningTenants"]
        self.assertEqual(tenant["TenantId"], center.tenant)
        of_tenant = {**of_store, "TenantId": center.tenant}
        one = client.create_bearer_token(**of_tenant)["BearerToken"]
        two = client.create_bearer_token(**of_tenant)["BearerToken"]
        self.assertNotEqual(one["Token"], two["Token"], "a create is not idempotent")
        self.assertTrue(center.valid(one["Token"]) and center.valid(two["Token"]))
        self.assertEqual((one["ExpirationTime"] - one["CreationTime"]).total_seconds(), YEAR_S)
        self.refused("LimitExceededException", client.create_bearer_token, **of_tenant)
        listed = client.list_bearer_tokens(**of_tenant)["BearerTokens"]
        self.assertEqual([t["TokenId"] for t in listed], [one["TokenId"], two["TokenId"]])
        self.assertNotIn("Token", listed[0])
        client.delete_bearer_token(TokenId=one["TokenId"], **of_tenant)
        self.assertFalse(center.valid(one["Token"]))
        self.refused("ResourceNotFoundException", client.delete_bearer_token, TokenId=one["TokenId"], **of_tenant)
        self.refused("ResourceNotFoundException", client.list_bearer_tokens, **{**of_tenant, "TenantId": "x"})
        center.gone = True
        self.refused("404", client.list_bearer_tokens, **of_tenant)

    def test_signatures(self):
        identity = self.client("sts").get_caller_identity
        self.assertEqual(identity()["Account"], "111122223333")
        self.refused("InvalidSignatureException", self.client("sts", aws_secret_access_key="wrong").get_caller_identity)
        self.refused("UnrecognizedClientException", self.client("sts", aws_access_key_id="AKIDOTHER").get_caller_identity)
        self.aws.clock_off_s = 4000
        self.assertIn("Signature expired", self.refused("InvalidSignatureException", identity))

    def test_sts(self):
        role = "arn:aws:iam::123456789012:role/r"
        self.aws.roles[role] = {"trust": ["111122223333", "web"], "external_id": "ext-1"}
        sts = self.client("sts")
        keys = sts.assume_role(RoleArn=role, RoleSessionName="session", ExternalId="ext-1")["Credentials"]
        of_role = self.client("sts", aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"],
                              aws_session_token=keys["SessionToken"])
        self.assertEqual(of_role.get_caller_identity()["Account"], "123456789012")
        self.refused("AccessDenied", sts.assume_role, RoleArn=role, RoleSessionName="session")
        self.aws.web_tokens.add("wwww")
        self.assertIn("Credentials", sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="session", WebIdentityToken="wwww"))
        self.refused("InvalidIdentityToken", sts.assume_role_with_web_identity, RoleArn=role, RoleSessionName="session", WebIdentityToken="xxxx")

    def test_lambda(self):
        invoke = self.client("lambda").invoke
        self.assertEqual(invoke(FunctionName="rotate", InvocationType="Event", Payload=b"{}")["StatusCode"], 202)
        arn = "arn:aws:lambda:eu-west-1:111122223333:function:rotate"
        self.refused("ResourceNotFoundException", invoke, FunctionName=arn, Payload=b"{}")  # signed right: found out by name
        self.aws.services.functions["rotate"] = lambda payload: (200, {"errorMessage": "x"}, "Unhandled")
        self.assertEqual(invoke(FunctionName="rotate", Payload=b"{}")["FunctionError"], "Unhandled")

    def test_step_functions(self):
        client, asked = self.client("stepfunctions"), {"stateMachineArn": MACHINE, "name": "n", "input": "{}"}
        arn = client.start_execution(**asked)["executionArn"]
        self.assertEqual(client.start_execution(**asked)["executionArn"], arn)
        self.assertEqual(client.describe_execution(executionArn=arn)["status"], "RUNNING")
        self.refused("ExecutionAlreadyExists", client.start_execution, **{**asked, "input": "[]"})
        self.aws.services.executions[arn]["status"] = "SUCCEEDED"
        self.refused("ExecutionAlreadyExists", client.start_execution, **asked)
        self.assertEqual(len(self.aws.services.effects), 1)

    def test_ssm(self):
        client, token = self.client("ssm"), "01234567-89ab-cdef-0123-456789abcdef"
        asked = {"DocumentName": "Rotate-Scim", "Parameters": {"a": ["1"]}, "ClientToken": token}
        identity = client.start_automation_execution(**asked)["AutomationExecutionId"]
        self.assertEqual(client.start_automation_execution(**asked)["AutomationExecutionId"], identity)
        self.refused("IdempotentParameterMismatch", client.start_automation_execution, **{**asked, "Parameters": {"a": ["2"]}})
        status = client.get_automation_execution(AutomationExecutionId=identity)["AutomationExecution"]["AutomationExecutionStatus"]
        self.assertEqual(status, "InProgress")

    def test_events(self):
        entries = [{"Source": s, "DetailType": "d", "Detail": "{}"} for s in ("mailhook", "aws.x")]
        said = self.client("events").put_events(Entries=entries)
        self.assertEqual(said["FailedEntryCount"], 1)
        self.assertEqual([sorted(e) for e in said["Entries"]], [["EventId"], ["ErrorCode", "ErrorMessage"]])

    def test_sns(self):
        self.aws.services.topics.update({TOPIC: {}, TOPIC + ".fifo": {}})
        publish = self.client("sns").publish
        self.assertIn("MessageId", publish(TopicArn=TOPIC, Message="{}"))
        asked = {"TopicArn": TOPIC + ".fifo", "Message": "{}", "MessageGroupId": "g", "MessageDeduplicationId": "d"}
        self.assertEqual(publish(**asked)["MessageId"], publish(**asked)["MessageId"])
        self.refused("InvalidParameter", publish, TopicArn=TOPIC + ".fifo", Message="{}")
        self.refused("NotFound", publish, TopicArn=TOPIC + "x", Message="{}")

    def test_secrets_manager(self):
        self.aws.services.secrets["s"] = {"rotation": True, "versions": {"v" * 32: ("old", {"AWSCURRENT"})}}
        client, token = self.client("secretsmanager"), "w" * 32
        put = {"SecretId": "s", "ClientRequestToken": token, "SecretString": "new"}
        self.assertEqual(client.put_secret_value(**put)["VersionStages"], ["AWSCURRENT"])
        client.put_secret_value(**put)
        self.refused("ResourceExistsException", client.put_secret_value, **{**put, "SecretString": "other"})
        self.assertEqual(client.get_secret_value(SecretId="s")["SecretString"], "new")
        self.assertEqual(client.get_secret_value(SecretId="s", VersionStage="AWSPREVIOUS")["SecretString"], "old")
        rotated = client.rotate_secret(SecretId="s")["VersionId"]  # botocore makes the token
        self.assertIn("AWSPENDING", client.describe_secret(SecretId="s")["VersionIdsToStages"][rotated])
        self.refused("InvalidRequestException", client.rotate_secret, SecretId="s")
        self.refused("ResourceNotFoundException", client.describe_secret, SecretId="x")

    def test_faults(self):
        sts = self.client("sts")
        for fault, code in (("throttle", "ThrottlingException"), ("skew", "RequestTimeTooSkewed"), ("denied", "AccessDeniedException"),
                            ("expired", "ExpiredTokenException"), ("broken", "InternalServerException")):
            self.aws.fault("GetCallerIdentity", fault)
            self.refused(code, sts.get_caller_identity)
        self.assertEqual(self.aws.count("GetCallerIdentity"), 5)

    def test_metadata(self):
        from botocore.utils import ContainerMetadataFetcher, InstanceMetadataFetcher
        self.aws.container_keys, self.aws.container_token = self.aws.mint("111122223333"), "t"
        found = ContainerMetadataFetcher().retrieve_full_uri(self.aws.url + "/container", headers={"Authorization": "t"})
        self.assertEqual(found["AccessKeyId"], self.aws.container_keys)
        self.aws.ec2.update(role="r", answer=lambda: self.aws.keys_as_json(self.aws.container_keys, Code="Success"))
        found = InstanceMetadataFetcher(timeout=2, num_attempts=1, base_url=self.aws.url + "/", env={}).retrieve_iam_role_credentials()
        self.assertEqual((found["role_name"], found["access_key"]), ("r", self.aws.container_keys))


if __name__ == "__main__":
    unittest.main(warnings="ignore")  # botocore leaves its sockets to the garbage collector
