"""The template deployed by `sam deploy`, as it is, on an emulator with IAM enforced, with real bootstraps; then used.

Accepting a template proves little about AWS; test_lint.py has what AWS's own rules say. Here the point is that the parts fit: names,
secrets, permissions, routes and triggers.

BOOTSTRAPS: a folder with what is deployed, target/lambda of `make build`; without it, what `make deployable` compiles faster.
LINT_TOOLS: the folder of `sam`; target/lint-tools/bin without it.
"""

import http.client
import json
import os
import platform
import secrets
import shutil
import string
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
from pathlib import Path

from botocore.exceptions import ClientError

from corbado import API_SECRET, PROJECT, Corbado, passkey_token, signed
from emulator import Emulator
from template import ACTIONS, FUNCTIONS, REPOSITORY, lint_tools

STACK = "corbado-connect-dev"
ORIGIN = "https://app.example.com"
PASSWORD = "Correct-Horse-7-Battery"
BOOTSTRAPS = os.environ.get("BOOTSTRAPS")
ARCHITECTURE = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")


def bootstrap(name):
    """The executable of a function."""
    return REPOSITORY / BOOTSTRAPS / name / "bootstrap" if BOOTSTRAPS else REPOSITORY / "target" / "deployable" / name


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.cookies = response.headers.get_all("set-cookie") or []
        text = response.read()
        self.body = json.loads(text) if text else None

    def __repr__(self):
        return f"{self.status} {self.body}"


class World:
    """The emulator, the stand-in for Corbado, and the stack between them."""

    def __init__(self):
        self.corbado = Corbado()
        # Tokens name AWS as their issuer; where its keys are is the one thing that an emulator must be told about.
        self.emulator = Emulator({"COGNITO_JWKS_URL": f"{self.corbado.url}/jwks"})
        self.aws = self.emulator.client
        self.folder = tempfile.TemporaryDirectory(prefix="deployment-")
        root = Path(self.folder.name)
        for name in FUNCTIONS:
            target = root / "target" / "lambda" / name / "bootstrap"
            target.parent.mkdir(parents=True)
            shutil.copy(bootstrap(name), target)
        shutil.copytree(REPOSITORY / "infra", root / "infra")
        secret = self.aws("secretsmanager").create_secret(Name="corbado/api-secret", SecretString=API_SECRET)
        self.corbado_secret = secret["ARN"]

    def parameters(self, changes):
        return {
            "CorbadoProjectId": PROJECT,
            "CorbadoApiSecretArn": self.corbado_secret,
            "CorbadoBackendApiUrl": f"{self.corbado.url}/v2",
            "AllowedOrigins": ORIGIN,
            "Architecture": ARCHITECTURE,
            "DeletionProtection": "false",
        } | changes

    def deploy(self, stack=STACK, **parameters):
        """Runs `sam deploy` as `make deploy` does, and returns what it printed."""
        template = Path(self.folder.name) / "infra" / "template.yaml"
        overrides = [f'{name}="{value}"' for name, value in self.parameters(parameters).items()]
        return self.sam(
            "deploy", "--template", template, "--config-env", "dev", "--stack-name", stack,
            "--parameter-overrides", *overrides,
        )

    def sam(self, *arguments):
        """Runs `sam`, and returns what it printed."""
        done = subprocess.run(
            [lint_tools() / "sam", *arguments],
            cwd=self.folder.name,
            env=self.emulator.environment | {"SAM_CLI_TELEMETRY": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode != 0:
            raise AssertionError(f"sam {arguments[0]}: {done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    def stack(self, name=STACK):
        return self.aws("cloudformation").describe_stacks(StackName=name)["Stacks"][0]

    def outputs(self, name=STACK):
        return {row["OutputKey"]: row["OutputValue"] for row in self.stack(name)["Outputs"]}

    def generate_secrets(self):
        """Replaces the generated signing secrets: the emulator puts punctuation into them where the template forbids it."""
        for name in ACTIONS:
            arn = self.outputs()[f"{FUNCTIONS[name]}SigningSecretArn"]
            value = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(44))
            self.aws("secretsmanager").put_secret_value(SecretId=arn, SecretString=value)

    def secret(self, function):
        """A function's signing secret, as someone reads it who pastes it into Corbado."""
        arn = self.outputs()[f"{FUNCTIONS[function]}SigningSecretArn"]
        return "whsec_" + self.aws("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]

    def add_user(self, email):
        """A confirmed user of the pool, and their stable id."""
        pool = self.outputs()["UserPoolId"]
        cognito = self.aws("cognito-idp")
        attributes = [{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}]
        user = cognito.admin_create_user(
            UserPoolId=pool, Username=email, UserAttributes=attributes, MessageAction="SUPPRESS",
        )["User"]
        cognito.admin_set_user_password(UserPoolId=pool, Username=email, Password=PASSWORD, Permanent=True)
        return user["Username"]

    def call(self, method, path, body=None, headers=None):
        """Calls the API at its own host name, which only the Host header knows here."""
        host = urllib.parse.urlsplit(self.outputs()["ApiUrl"]).netloc
        connection = http.client.HTTPConnection("127.0.0.1", self.emulator.port, timeout=60)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        headers = {"host": host, "content-type": "application/json"} | (headers or {})
        connection.request(method, path, data, headers)
        try:
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def page(self, method, path, body=None, **headers):
        """Calls auth-api as a page does."""
        return self.call(method, path, body, {"origin": ORIGIN} | headers)

    def action(self, function, event, secret=None):
        """Calls an action as Corbado does."""
        body = json.dumps(event).encode()
        return self.call("POST", f"/actions/{function}", body, signed(secret or self.secret(function), body))

    def log(self, function):
        """What a function wrote."""
        group = f"/aws/lambda/{STACK}-{function}"
        events = self.aws("logs").filter_log_events(logGroupName=group)["events"]
        return "\n".join(event["message"] for event in events)

    def stop(self):
        self.emulator.stop()
        self.corbado.stop()
        self.folder.cleanup()


WORLD = None


def setUpModule():
    global WORLD
    WORLD = World()
    try:
        WORLD.deploy()
        WORLD.generate_secrets()
        pool = WORLD.outputs()["UserPoolId"]
        WORLD.corbado.jwks_url = f"{WORLD.emulator.url}/{pool}/.well-known/jwks.json"
    except BaseException:
        print(WORLD.emulator.log.read_text(), file=sys.stderr)
        WORLD.stop()
        raise


def tearDownModule():
    WORLD.stop()


def load_tests(loader, _tests, _pattern):
    """In this order: what is deployed, deployed once more, deployed otherwise, deleted."""
    suite = unittest.TestSuite()
    for case in (Bootstraps, Deployed, Redeployed, Otherwise, Deleted):
        suite.addTests(loader.loadTestsFromTestCase(case))
    return suite


class Bootstraps(unittest.TestCase):
    @unittest.skipUnless(BOOTSTRAPS, "compiled for tests, against this machine's libraries")
    def test_what_is_deployed_loads_nothing_and_has_no_fixed_address(self):
        for name in FUNCTIONS:
            with self.subTest(name):
                elf = bootstrap(name).read_bytes()
                # ELF-64, little endian (elf(5)): e_type, then the program headers, each of which begins with p_type.
                kind, table, size, count = (
                    int.from_bytes(elf[at : at + width], "little") for at, width in ((16, 2), (32, 8), (54, 2), (56, 2))
                )
                types = [int.from_bytes(elf[table + i * size :][:4], "little") for i in range(count)]
                self.assertEqual(kind, 3, "ET_DYN: at any address")
                self.assertNotIn(3, types, "PT_INTERP: a dynamic linker")


class Deployed(unittest.TestCase):
    def setUp(self):
        self.user = WORLD.add_user(f"{secrets.token_hex(4)}@example.com")

    def log_in(self):
        answer = WORLD.page("POST", "/auth/passkey/verify", {"signedPasskeyData": passkey_token(self.user)})
        self.assertEqual((answer.status, answer.body), (200, {"success": True}))
        return answer.cookies[0].split(";")[0]

    def test_a_page_logs_in_and_out(self):
        token = {"type": "passkey-append"}
        self.assertEqual(WORLD.page("POST", "/auth/corbadoConnectToken", token).status, 401)
        cookie = self.log_in()
        answer = WORLD.page("GET", "/auth/session", cookie=cookie)
        self.assertEqual((answer.status, answer.body["user"]["id"]), (200, self.user))
        answer = WORLD.page("POST", "/auth/corbadoConnectToken", token, cookie=cookie)
        self.assertEqual(answer.status, 200, answer)
        self.assertTrue(answer.body["connectToken"].startswith("ctk1_"))
        self.assertEqual(WORLD.page("POST", "/auth/logout", cookie=cookie).status, 204)
        self.assertEqual(WORLD.page("GET", "/auth/session", cookie=cookie).status, 401)

    def test_a_session_cookie_is_for_the_pages_site_alone(self):
        token = passkey_token(self.user)
        cookie = WORLD.page("POST", "/auth/passkey/verify", {"signedPasskeyData": token}).cookies[0]
        for part in ("HttpOnly", "Secure", "SameSite=Strict", "Path=/"):
            self.assertIn(part, cookie)
        answer = WORLD.page("POST", "/auth/passkey/verify", {"signedPasskeyData": token})
        self.assertEqual((answer.status, answer.body["error"]), (401, "proof_rejected"))
        stranger = {"origin": "https://evil.example"}
        self.assertEqual(WORLD.call("GET", "/auth/session", headers=stranger).status, 403)

    def test_the_actions_work_signed(self):
        email = WORLD.aws("cognito-idp").admin_get_user(UserPoolId=WORLD.outputs()["UserPoolId"], Username=self.user)
        email = {row["Name"]: row["Value"] for row in email["UserAttributes"]}["email"]
        answer = WORLD.action("pre-login", {"identifier": email})
        self.assertEqual((answer.status, answer.body), (200, {"identifier": self.user}))
        answer = WORLD.action("pre-login", {"identifier": "nobody@example.com"})
        self.assertEqual((answer.status, answer.body["error"]["code"]), (200, "user_not_found"))

        answer = WORLD.action("post-append", {"username": self.user})
        self.assertEqual((answer.status, answer.body), (200, {}))
        marked = WORLD.aws("cognito-idp").admin_get_user(UserPoolId=WORLD.outputs()["UserPoolId"], Username=self.user)
        marked = {row["Name"]: row["Value"] for row in marked["UserAttributes"]}
        self.assertEqual((marked["custom:mfa_enabled"], marked["custom:preferred_mfa"]), ("true", "passkey"))

        token = passkey_token(self.user)
        answer = WORLD.action("post-login", {"userId": self.user, "signedPasskeyData": token})
        self.assertEqual(answer.status, 200, answer)
        session = answer.body["sessionId"]
        answer = WORLD.page("GET", "/auth/session", authorization=f"Bearer {session}")
        self.assertEqual((answer.status, answer.body["user"]["id"]), (200, self.user))
        # One table, so what was used there is used here.
        answer = WORLD.page("POST", "/auth/passkey/verify", {"signedPasskeyData": token})
        self.assertEqual((answer.status, answer.body["error"]), (401, "proof_rejected"))

    def test_an_action_has_a_secret_of_its_own(self):
        event = {"identifier": "x@example.com", "userId": self.user, "username": self.user}
        for name in ACTIONS:
            self.assertEqual(WORLD.action(name, event).status, 200, name)
            for other in ACTIONS:
                if other != name:
                    answer = WORLD.action(name, event, WORLD.secret(other))
                    self.assertEqual((answer.status, answer.body["error"]), (401, "unauthenticated"))

    def test_strangers_are_refused(self):
        for name in ACTIONS:
            answer = WORLD.call("POST", f"/actions/{name}", {"userId": self.user})
            self.assertEqual((answer.status, answer.body["error"]), (401, "unauthenticated"), name)
            # The wrong method and other paths end at the gateway.
            self.assertEqual(WORLD.call("GET", f"/actions/{name}").status, 404)
        self.assertEqual(WORLD.call("POST", "/actions/custom-auth", {}).status, 404)

    def test_direct_invocations_of_actions_are_refused(self):
        for name in ACTIONS:
            invoked = WORLD.aws("lambda").invoke(
                FunctionName=f"{STACK}-{name}", Payload=json.dumps({"userId": self.user}).encode(),
            )
            answer = json.loads(invoked["Payload"].read())
            self.assertEqual((answer["statusCode"], answer["body"]["error"]), (401, "unauthenticated"), name)

    def test_the_smoke_test_passes_and_fails(self):
        api = urllib.parse.urlsplit(WORLD.outputs()["ApiUrl"]).netloc.split(".")[0]
        smoke = [sys.executable, REPOSITORY / "infra" / "smoke"]
        # The emulator's path for clients that cannot choose the Host header.
        good = f"{WORLD.emulator.url}/_aws/execute-api/{api}"
        passed = subprocess.run([*smoke, good], capture_output=True, text=True)
        self.assertEqual(passed.returncode, 0, passed.stdout + passed.stderr)
        self.assertEqual(passed.stdout.count("ok  "), 4)
        # As `make smoke` does; only the address is another one here.
        outputs = WORLD.sam(
            "list", "stack-outputs", "--config-file", "infra/samconfig.toml", "--config-env", "dev", "--output", "json",
        ).replace(WORLD.outputs()["ApiUrl"], good)
        piped = subprocess.run(smoke, input=outputs, capture_output=True, text=True)
        self.assertEqual(piped.returncode, 0, piped.stdout + piped.stderr)
        for bad in (f"{WORLD.emulator.url}/_aws/execute-api/00000000", "http://127.0.0.1:1"):
            failed = subprocess.run([*smoke, bad], capture_output=True, text=True)
            self.assertEqual(failed.returncode, 1, failed.stdout)
            self.assertEqual(failed.stdout.count("FAIL"), 4)

    # ---- Cognito's triggers ----

    def answer_challenge(self, answer):
        client, cognito = WORLD.outputs()["UserPoolClientId"], WORLD.aws("cognito-idp")
        started = cognito.initiate_auth(
            AuthFlow="CUSTOM_AUTH", ClientId=client, AuthParameters={"USERNAME": self.user},
        )
        self.assertEqual(started["ChallengeName"], "CUSTOM_CHALLENGE")
        return cognito.respond_to_auth_challenge(
            ClientId=client, ChallengeName="CUSTOM_CHALLENGE", Session=started["Session"],
            ChallengeResponses={"USERNAME": self.user, "ANSWER": answer},
        )

    def test_a_passkey_logs_in_at_the_user_pool(self):
        tokens = self.answer_challenge(passkey_token(self.user))["AuthenticationResult"]
        answer = WORLD.page("GET", "/auth/session", authorization=f"Bearer {tokens['AccessToken']}")
        self.assertEqual((answer.status, answer.body["user"]["id"]), (200, self.user), answer)

    def test_a_wrong_or_used_passkey_does_not(self):
        used = passkey_token(self.user)
        self.assertEqual(
            WORLD.page("POST", "/auth/passkey/verify", {"signedPasskeyData": used}).status, 200,
        )
        for answer in (passkey_token(self.user, "invalid_signature"), passkey_token("somebody-else"), used, "no token"):
            try:
                answered = self.answer_challenge(answer)
            except ClientError as error:
                self.assertEqual(error.response["Error"]["Code"], "NotAuthorizedException")
            else:
                self.assertNotIn("AuthenticationResult", answered)

    def test_a_page_cannot_claim_to_have_mfa(self):
        client = WORLD.aws("cognito-idp").describe_user_pool_client(
            UserPoolId=WORLD.outputs()["UserPoolId"], ClientId=WORLD.outputs()["UserPoolClientId"],
        )["UserPoolClient"]
        self.assertEqual([name for name in client["WriteAttributes"] if name.startswith("custom:")], [])

    # ---- roles and secrets ----

    def with_environment(self, function, changes):
        """Changes a function's environment until the test is over."""
        aws, name = WORLD.aws("lambda"), f"{STACK}-{function}"
        before = aws.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        aws.update_function_configuration(FunctionName=name, Environment={"Variables": before | changes})
        self.addCleanup(
            aws.update_function_configuration, FunctionName=name, Environment={"Variables": before},
        )

    def test_a_function_may_not_touch_another_pool(self):
        cognito = WORLD.aws("cognito-idp")
        other = cognito.create_user_pool(PoolName="other")["UserPool"]["Id"]
        self.addCleanup(cognito.delete_user_pool, UserPoolId=other)
        self.with_environment("post-append", {"USER_POOL_ID": other})
        answer = WORLD.action("post-append", {"username": self.user})
        self.assertEqual((answer.status, answer.body["error"]), (500, "provider_unavailable"))
        self.assertIn("AccessDenied", WORLD.log("post-append"))

    def test_a_function_may_not_touch_another_table(self):
        dynamodb = WORLD.aws("dynamodb")
        dynamodb.create_table(
            TableName="other", BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        self.addCleanup(dynamodb.delete_table, TableName="other")
        self.with_environment("auth-api", {"DYNAMODB_TABLE": "other"})
        answer = WORLD.page("POST", "/auth/passkey/verify", {"signedPasskeyData": passkey_token(self.user)})
        self.assertEqual((answer.status, answer.body["error"]), (500, "provider_unavailable"))
        self.assertIn("AccessDenied", WORLD.log("auth-api"))

    def test_a_function_may_not_read_anothers_secret(self):
        other = WORLD.outputs()["PostLoginSigningSecretArn"]
        secret = WORLD.secret("post-login")
        self.with_environment("pre-login", {"ACTION_SIGNING_SECRET_ARN": other})
        answer = WORLD.action("pre-login", {"identifier": self.user}, secret)
        self.assertNotEqual(answer.status, 200)
        self.assertIn("AccessDenied", WORLD.log("pre-login"))

    def test_no_secret_is_in_an_environment_or_a_log(self):
        values = [API_SECRET] + [WORLD.secret(name).removeprefix("whsec_") for name in ACTIONS]
        for name in FUNCTIONS:
            configuration = WORLD.aws("lambda").get_function_configuration(FunctionName=f"{STACK}-{name}")
            shown = json.dumps(configuration["Environment"]) + WORLD.log(name)
            for value in values:
                self.assertNotIn(value, shown, name)

    def test_alarms_watch_what_is_there(self):
        alarms = WORLD.aws("cloudwatch").describe_alarms()["MetricAlarms"]
        functions = {f"{STACK}-{name}" for name in FUNCTIONS}
        for alarm in alarms:
            watched = {row["Name"]: row["Value"] for row in alarm["Dimensions"]}
            name = watched.get("FunctionName") or watched.get("function")
            self.assertTrue(name in functions or "ApiId" in watched, alarm["AlarmName"])


class Redeployed(unittest.TestCase):
    def test_deploying_again_changes_nothing(self):
        aws = WORLD.aws("lambda")

        def state():
            functions = {
                name: aws.get_function_configuration(FunctionName=f"{STACK}-{name}")["CodeSha256"]
                for name in FUNCTIONS
            }
            return functions, WORLD.stack().get("LastUpdatedTime"), [WORLD.secret(name) for name in ACTIONS]

        before = state()
        self.assertIn("No changes to deploy", WORLD.deploy())
        self.assertEqual(state(), before)


class Otherwise(unittest.TestCase):
    """The other branches of the template: that they deploy, and what they make."""

    def environment(self, stack, function):
        aws = WORLD.aws("lambda")
        return aws.get_function_configuration(FunctionName=f"{stack}-{function}")["Environment"]["Variables"]

    def test_post_login_hands_out_tokens_of_the_pool(self):
        WORLD.deploy(SessionKind="cognito")
        user = WORLD.add_user("tokens@example.com")
        token = passkey_token(user)
        for event in ({"userId": user, "signedPasskeyData": token}, {"userId": user}):
            answer = WORLD.action("post-login", event)
            self.assertEqual(answer.status, 200, answer)
            bearer = f"Bearer {answer.body['accessToken']}"
            answer = WORLD.page("GET", "/auth/session", authorization=bearer)
            self.assertEqual((answer.status, answer.body["user"]["id"]), (200, user))
        answer = WORLD.action("post-login", {"signedPasskeyData": token})
        self.assertEqual(answer.status, 401, answer)

    def test_passkeys_under_the_address_need_no_triggers(self):
        WORLD.deploy("by-email", ConnectTokenIdentifier="email")
        pool = WORLD.aws("cognito-idp").describe_user_pool(UserPoolId=WORLD.outputs("by-email")["UserPoolId"])
        self.assertFalse(pool["UserPool"].get("LambdaConfig"))
        names = {row["FunctionName"] for row in WORLD.aws("lambda").list_functions()["Functions"]}
        self.assertNotIn("by-email-custom-auth", names)
        WORLD.aws("cloudformation").delete_stack(StackName="by-email")

    def test_an_existing_pool_cognito_sessions_and_a_domain(self):
        cognito = WORLD.aws("cognito-idp")
        pool = cognito.create_user_pool(PoolName="existing")["UserPool"]["Id"]
        client = cognito.create_user_pool_client(
            UserPoolId=pool, ClientName="server", GenerateSecret=True,
        )["UserPoolClient"]
        secret = WORLD.aws("secretsmanager").create_secret(
            Name="client-secret", SecretString=client["ClientSecret"],
        )["ARN"]
        zone = WORLD.aws("route53").create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"]
        topic = WORLD.aws("sns").create_topic(Name="alarms")["TopicArn"]
        WORLD.deploy(
            "existing", UserPoolId=pool, UserPoolClientId=client["ClientId"], UserPoolClientSecretArn=secret,
            SessionKind="cognito", DomainName="api.example.com", HostedZoneId=zone.rsplit("/")[-1],
            CertificateArn="arn:aws:acm:eu-central-1:000000000000:certificate/0000", Tracing="Active",
            ReservedConcurrency=5, AlarmTopicArn=topic, DeferUpdates="true",
        )
        outputs = WORLD.outputs("existing")
        self.assertEqual(outputs["PostLoginUrl"], "https://api.example.com/actions/post-login")
        self.assertEqual((outputs["UserPoolId"], outputs["UserPoolClientId"]), (pool, client["ClientId"]))
        post_login, custom_auth = (self.environment("existing", name) for name in ("post-login", "custom-auth"))
        self.assertEqual(post_login["SESSION_KIND"], "cognito")
        self.assertEqual(post_login["USER_POOL_CLIENT_SECRET_ARN"], secret)
        self.assertEqual(post_login["LOGIN_PROOF_SECRET_ARN"], custom_auth["LOGIN_PROOF_SECRET_ARN"])
        self.assertEqual(custom_auth["USER_POOL_ID"], pool)
        # Updates that are made later: the queue that post-append writes to is the one that it is given messages of.
        queue = self.environment("existing", "post-append")["DEFER_QUEUE_URL"]
        self.assertTrue(queue.endswith("/existing-deferred.fifo"), queue)
        attributes = WORLD.aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
        self.assertIn("existing-deferred-dead.fifo", attributes["RedrivePolicy"])
        mappings = WORLD.aws("lambda").list_event_source_mappings(FunctionName="existing-post-append")
        [mapping] = mappings["EventSourceMappings"]
        self.assertEqual(mapping["EventSourceArn"], attributes["QueueArn"])
        self.assertEqual(mapping["FunctionResponseTypes"], ["ReportBatchItemFailures"])
        alarms = WORLD.aws("cloudwatch").describe_alarms(AlarmNamePrefix="existing-")["MetricAlarms"]
        self.assertEqual({tuple(alarm["AlarmActions"]) for alarm in alarms}, {(topic,)})
        WORLD.aws("cloudformation").delete_stack(StackName="existing")

    def test_an_authentication_system_of_ones_own(self):
        secret = WORLD.aws("secretsmanager").create_secret(Name="bearer", SecretString="bearer")["ARN"]
        WORLD.deploy(
            "rest", AuthSystem="rest", SessionStore="rest", AuthSystemUrl="https://users.example.com",
            AuthSystemBearerTokenSecretArn=secret,
        )
        self.assertNotIn("UserPoolId", WORLD.outputs("rest"))
        names = {row["FunctionName"] for row in WORLD.aws("lambda").list_functions()["Functions"]}
        self.assertNotIn("rest-custom-auth", names)
        variables = self.environment("rest", "auth-api")
        self.assertEqual(variables["AUTH_SYSTEM_BEARER_TOKEN_SECRET_ARN"], secret)
        WORLD.aws("cloudformation").delete_stack(StackName="rest")

    def test_what_does_not_fit_together_is_refused(self):
        rows = {
            "CorbadoApiSecretArn or CorbadoApiKeySecretArn": {"CorbadoApiSecretArn": ""},
            "needs UserPoolClientId": {"UserPoolId": "eu-central-1_AbCdEfGhI"},
            "AuthSystemUrl": {"AuthSystem": "rest"},
            "CertificateArn": {"DomainName": "api.example.com"},
            "CorbadoProjectId": {"CorbadoProjectId": "REPLACE_ME"},
        }
        s3 = WORLD.aws("s3")
        bucket = next(row["Name"] for row in s3.list_buckets()["Buckets"] if "aws-sam-cli" in row["Name"])
        objects = s3.list_objects_v2(Bucket=bucket)["Contents"]
        template = next(row["Key"] for row in objects if row["Key"].endswith(".template"))
        for expected, parameters in rows.items():
            given = WORLD.parameters(parameters)
            with self.subTest(expected), self.assertRaises(ClientError) as refused:
                WORLD.aws("cloudformation").create_stack(
                    StackName="refused", TemplateURL=f"{WORLD.emulator.url}/{bucket}/{template}",
                    Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
                    Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
                )
            self.assertIn(expected, str(refused.exception))


class Deleted(unittest.TestCase):
    def test_deleting_leaves_what_holds_users_data(self):
        outputs, aws = WORLD.outputs(), WORLD.aws
        cloudformation = aws("cloudformation")
        cloudformation.delete_stack(StackName=STACK)
        deadline = time.monotonic() + 120
        while True:
            try:
                status = WORLD.stack()["StackStatus"]
            except ClientError:
                break
            self.assertNotIn("FAILED", status)
            if status == "DELETE_COMPLETE":
                break
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.5)

        aws("dynamodb").describe_table(TableName=outputs["TableName"])
        aws("cognito-idp").describe_user_pool_client(
            UserPoolId=outputs["UserPoolId"], ClientId=outputs["UserPoolClientId"],
        )
        left = {
            "functions": [row["FunctionName"] for row in aws("lambda").list_functions()["Functions"]],
            "apis": [row["Name"] for row in aws("apigatewayv2").get_apis()["Items"]],
            "roles": [row["RoleName"] for row in aws("iam").list_roles()["Roles"]],
            "secrets": [row["Name"] for row in aws("secretsmanager").list_secrets()["SecretList"]],
            "groups": [row["logGroupName"] for row in aws("logs").describe_log_groups()["logGroups"]],
            "alarms": [row["AlarmName"] for row in aws("cloudwatch").describe_alarms()["MetricAlarms"]],
            "dashboards": [row["DashboardName"] for row in aws("cloudwatch").list_dashboards()["DashboardEntries"]],
        }
        of_stack = {kind: [name for name in names if STACK in name] for kind, names in left.items()}
        self.assertEqual(of_stack, {kind: [] for kind in left})


if __name__ == "__main__":
    unittest.main()
