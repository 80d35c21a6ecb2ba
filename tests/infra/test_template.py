"""What the template says, read as data: nothing is deployed here."""

import json
import re
import tomllib
import unittest

from template import ACTIONS, FUNCTIONS, REPOSITORY, load, walk

TEMPLATE = load()
RESOURCES = TEMPLATE["Resources"]

CORBADO = {
    "CORBADO_PROJECT_ID", "CORBADO_API_SECRET_ARN", "CORBADO_API_KEY_SECRET_ARN", "CORBADO_BACKEND_API_URL",
}
DIRECTORY = {
    "AUTH_SYSTEM", "USER_POOL_ID", "AUTH_SYSTEM_URL", "AUTH_SYSTEM_BEARER_TOKEN_SECRET_ARN",
    "AUTH_SYSTEM_SIGNING_SECRET_ARN",
}
ACTION = {"ACTION_SIGNING_SECRET_ARN", "ACTION_DIRECT_INVOCATION"}
SESSIONS = {"SESSION_STORE", "REPLAY_STORE", "DYNAMODB_TABLE", "SESSION_TTL_SECONDS"}

# What each function cannot do its work without in some configuration. README.md has what each name means.
REQUIRED = {
    "pre-login": ACTION | DIRECTORY | {"CONNECT_TOKEN_IDENTIFIER"},
    "post-login": ACTION | DIRECTORY | CORBADO | SESSIONS | {
        "CONNECT_TOKEN_IDENTIFIER", "SESSION_KIND", "USER_POOL_CLIENT_ID", "USER_POOL_CLIENT_SECRET_ARN", "LOGIN_PROOF_SECRET_ARN",
    },
    "post-append": ACTION | DIRECTORY,
    "auth-api": DIRECTORY | CORBADO | SESSIONS | {"ALLOWED_ORIGINS", "USER_POOL_CLIENT_ID", "CONNECT_TOKEN_IDENTIFIER"},
    "custom-auth": CORBADO | {
        "CONNECT_TOKEN_IDENTIFIER", "REPLAY_STORE", "DYNAMODB_TABLE", "LOGIN_PROOF_SECRET_ARN", "USER_POOL_ID",
    },
}

# What each function may do. README.md, "Permissions", has what for.
ALLOWED = {
    "pre-login": {"cognito-idp:AdminGetUser", "cognito-idp:ListUsers"},
    "post-login": {
        "cognito-idp:AdminGetUser", "cognito-idp:AdminInitiateAuth", "cognito-idp:AdminRespondToAuthChallenge",
        "dynamodb:PutItem",
    },
    "post-append": {
        "cognito-idp:AdminGetUser", "cognito-idp:AdminUpdateUserAttributes", "cognito-idp:AdminSetUserMFAPreference",
        "sqs:SendMessage", "sqs:ChangeMessageVisibility", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes",
    },
    "auth-api": {
        "cognito-idp:AdminGetUser", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem",
        "dynamodb:DeleteItem",
    },
    "custom-auth": {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"},
}
EVERY_FUNCTION = {"logs:CreateLogStream", "logs:PutLogEvents", "secretsmanager:GetSecretValue"}


def of_type(name):
    return {key: value for key, value in RESOURCES.items() if value["Type"] == name}


def function(name):
    return RESOURCES[f"{FUNCTIONS[name]}Function"]["Properties"]


def statements(role):
    for policy in role["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement


def named(value):
    """What a reference names; nothing for any other value."""
    if not isinstance(value, dict):
        return None
    name = value.get("Ref") or value.get("Fn::GetAtt", [None])[0]
    return None if name == "AWS::NoValue" else name


def as_list(value):
    return value if isinstance(value, list) else [value]


class Functions(unittest.TestCase):
    def test_every_function_crate_has_a_function_and_every_function_a_crate(self):
        crates = {
            path.parent.parent.name
            for path in REPOSITORY.glob("crates/*/src/main.rs")
            if path.parent.parent.name != "sandbox"
        }
        built = {
            name: value["Properties"]["CodeUri"] for name, value in of_type("AWS::Serverless::Function").items()
        }
        self.assertEqual(built, {
            f"{logical}Function": f"../target/lambda/{name}/" for name, logical in FUNCTIONS.items()
        })
        self.assertEqual(crates, set(FUNCTIONS))

    def test_every_name_that_a_function_needs_is_set(self):
        for name, required in REQUIRED.items():
            with self.subTest(name):
                variables = set(function(name)["Environment"]["Variables"])
                self.assertEqual(required - variables, set())

    def test_every_name_is_in_the_readme(self):
        readme = (REPOSITORY / "README.md").read_text()
        names = {name for it in FUNCTIONS for name in function(it)["Environment"]["Variables"]}
        # The README has one rule for the names of secrets, instead of a row for each.
        missing = {name for name in names if f"`{name}`" not in readme and not name.endswith("_SECRET_ARN")}
        self.assertEqual(missing, set())
        self.assertTrue("_SECRET_ARN" in readme, "README.md does not say how secrets are named")

    def test_no_secret_is_in_the_environment(self):
        for name in FUNCTIONS:
            for variable, value in function(name)["Environment"]["Variables"].items():
                with self.subTest(f"{name} {variable}"):
                    secret = re.search("SECRET|KEY|TOKEN(?!_IDENT|S_PER)|PASSWORD", variable)
                    if secret and not variable.startswith(("RATE_LIMIT", "REQUIRE")):
                        self.assertTrue(variable.endswith("_SECRET_ARN"))
                    self.assertNotIn("resolve:", json.dumps(value))

    def test_actions_are_reached_over_https_only_each_with_a_secret_of_its_own(self):
        used = set()
        for name in ACTIONS:
            variables = function(name)["Environment"]["Variables"]
            self.assertEqual(variables["ACTION_DIRECT_INVOCATION"], "deny")
            used.add(named(variables["ACTION_SIGNING_SECRET_ARN"]))
        self.assertEqual(len(used), len(ACTIONS))
        for secret in used:
            generated = RESOURCES[secret]["Properties"]["GenerateSecretString"]
            # Letters and digits only, and a whole number of groups of four: base64 of 33 bytes.
            self.assertEqual(generated, {"PasswordLength": 44, "ExcludePunctuation": True})

    def test_custom_auth_answers_before_cognito_calls_again(self):
        self.assertLess(function("custom-auth")["Timeout"], 5)

    def test_every_function_answers_before_the_gateway_gives_up(self):
        for name in FUNCTIONS:
            self.assertLess(function(name)["Timeout"], 30, name)
        # Two calls of Cognito, of which one runs the triggers.
        self.assertGreaterEqual(function("post-login")["Timeout"], 15)

    def test_every_function_logs_where_retention_is_set(self):
        for name, logical in FUNCTIONS.items():
            self.assertEqual(function(name)["LoggingConfig"]["LogGroup"], {"Ref": f"{logical}LogGroup"})
        for name, group in of_type("AWS::Logs::LogGroup").items():
            self.assertEqual(group["Properties"]["RetentionInDays"], {"Ref": "LogRetentionDays"}, name)


class Roles(unittest.TestCase):
    def test_each_function_has_a_role_of_its_own_with_its_own_actions(self):
        for name, logical in FUNCTIONS.items():
            with self.subTest(name):
                self.assertEqual(function(name)["Role"], {"Fn::GetAtt": [f"{logical}Role", "Arn"]})
                actions = {
                    action
                    for statement in statements(RESOURCES[f"{logical}Role"])
                    for action in as_list(statement["Action"])
                }
                self.assertEqual(actions, ALLOWED[name] | EVERY_FUNCTION)

    def test_no_action_and_no_resource_is_a_wildcard(self):
        for name, role in of_type("AWS::IAM::Role").items():
            for statement in statements(role):
                for action in as_list(statement["Action"]):
                    self.assertNotIn("*", action, name)
                for value in walk(statement["Resource"]):
                    # The streams of one group are the one thing that has no name beforehand.
                    if isinstance(value, str) and not re.fullmatch(r".*:log-group:\$\{\w+LogGroup\}:\*", value):
                        self.assertNotIn("*", value, name)
        self.assertEqual(of_type("AWS::IAM::Policy") | of_type("AWS::IAM::ManagedPolicy"), {})

    def test_a_function_reads_the_secrets_of_its_environment_and_no_others(self):
        for name, logical in FUNCTIONS.items():
            with self.subTest(name):
                variables = function(name)["Environment"]["Variables"]
                given = {
                    named(value)
                    for variable in variables
                    if variable.endswith("_SECRET_ARN")
                    for value in walk(variables[variable])
                }
                allowed = {
                    named(value)
                    for statement in statements(RESOURCES[f"{logical}Role"])
                    if statement["Action"] == "secretsmanager:GetSecretValue"
                    for value in walk(statement["Resource"])
                }
                self.assertEqual(given, allowed)

    def test_nobody_but_the_gateway_and_the_pool_may_invoke(self):
        for name, permission in of_type("AWS::Lambda::Permission").items():
            with self.subTest(name):
                properties = permission["Properties"]
                self.assertIn(properties["Principal"], {"apigateway.amazonaws.com", "cognito-idp.amazonaws.com"})
                self.assertIn("SourceArn", properties)
        cognito = RESOURCES["CustomAuthPermission"]["Properties"]
        self.assertEqual(cognito["SourceAccount"], {"Ref": "AWS::AccountId"})


class Data(unittest.TestCase):
    def test_the_table_is_the_one_of_the_tests(self):
        properties = RESOURCES["Table"]["Properties"]
        expected = json.loads((REPOSITORY / "infra" / "table.json").read_text())
        self.assertEqual({name: properties.get(name) for name in expected}, expected)
        self.assertEqual(properties["PointInTimeRecoverySpecification"], {"PointInTimeRecoveryEnabled": True})
        self.assertEqual(properties["SSESpecification"], {"SSEEnabled": True})

    def test_what_holds_users_data_is_kept(self):
        kept = {name for name, value in RESOURCES.items() if value.get("DeletionPolicy") == "Retain"}
        self.assertEqual(kept, {"Table", "UserPool", "UserPoolClient"})
        for name in kept:
            self.assertEqual(RESOURCES[name]["UpdateReplacePolicy"], "Retain")

    def test_no_app_client_may_write_the_mfa_attributes(self):
        client = RESOURCES["UserPoolClient"]["Properties"]
        self.assertEqual([name for name in client["WriteAttributes"] if name.startswith("custom:")], [])
        schema = {row["Name"]: row for row in RESOURCES["UserPool"]["Properties"]["Schema"]}
        self.assertLessEqual({"mfa_enabled", "preferred_mfa", "last_mfa_update"}, set(schema))
        required = {name for name, row in schema.items() if row.get("Required")}
        self.assertLessEqual(required, set(client["WriteAttributes"]))
        self.assertLessEqual({"ALLOW_CUSTOM_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"}, set(client["ExplicitAuthFlows"]))


class Alarms(unittest.TestCase):
    ALARMS = of_type("AWS::CloudWatch::Alarm")

    def names(self):
        return {
            value["Properties"]["AlarmName"]["Fn::Sub"].removeprefix("${AWS::StackName}-")
            for value in self.ALARMS.values()
        }

    def test_every_alarm_has_a_line_in_the_runbook_and_every_line_an_alarm(self):
        runbook = (REPOSITORY / "infra" / "RUNBOOK.md").read_text()
        lines = re.findall(r"^\| (`[^|]+`) \|", runbook, re.MULTILINE)
        named = {name for line in lines for name in re.findall(r"`([^`]+)`", line)}
        self.assertEqual(named, self.names())

    def test_every_function_has_its_alarms(self):
        expected = {f"{name}-{kind}" for name in FUNCTIONS for kind in ("errors", "throttles", "duration", "failures")}
        expected |= {f"{name}-signature-refusals" for name in ACTIONS} | {"api-5xx", "deferred-age", "deferred-dead"}
        self.assertEqual(self.names(), expected)

    def test_every_alarm_tells_the_topic(self):
        for name, alarm in self.ALARMS.items():
            self.assertIn({"Ref": "AlarmTopicArn"}, list(walk(alarm["Properties"]["AlarmActions"])), name)

    def test_a_slow_function_is_told_before_it_times_out(self):
        for name, logical in FUNCTIONS.items():
            threshold = self.ALARMS[f"{logical}DurationAlarm"]["Properties"]["Threshold"]
            self.assertLess(threshold, function(name)["Timeout"] * 1000, name)


class Parameters(unittest.TestCase):
    def test_every_parameter_is_described_and_used(self):
        used = {
            value["Ref"]
            for part in ("Conditions", "Globals", "Resources", "Outputs")
            for value in walk(TEMPLATE[part])
            if isinstance(value, dict) and "Ref" in value
        }
        used |= set(re.findall(r"\$\{(\w+)\}", json.dumps(TEMPLATE["Resources"] | TEMPLATE["Outputs"])))
        groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        grouped = [name for group in groups for name in group["Parameters"]]
        self.assertEqual(sorted(grouped), sorted(TEMPLATE["Parameters"]))
        for name, parameter in TEMPLATE["Parameters"].items():
            with self.subTest(name):
                self.assertTrue(parameter["Description"])
                self.assertIn(name, used)
                if parameter["Type"] == "String":
                    self.assertTrue({"AllowedPattern", "AllowedValues"} & set(parameter))
                if "AllowedPattern" in parameter and "Default" in parameter:
                    self.assertRegex(parameter["Default"], parameter["AllowedPattern"])

    def test_samconfig_sets_parameters_that_exist_to_what_they_may_be(self):
        config = tomllib.loads((REPOSITORY / "infra" / "samconfig.toml").read_text())
        for stage in ("dev", "prod"):
            settings = config[stage]["deploy"]["parameters"]
            self.assertEqual(config[stage]["global"]["parameters"]["stack_name"], f"corbado-connect-{stage}")
            given = dict(row.split("=", 1) for row in settings["parameter_overrides"])
            required = {name for name, row in TEMPLATE["Parameters"].items() if "Default" not in row}
            self.assertLessEqual(required, set(given))
            for name, value in given.items():
                with self.subTest(f"{stage} {name}"):
                    parameter = TEMPLATE["Parameters"][name]
                    if value == "REPLACE_ME":
                        # Nobody deploys what is left.
                        self.assertNotRegex(value, parameter["AllowedPattern"])
                        continue
                    if "AllowedValues" in parameter:
                        self.assertIn(value, [str(it) for it in parameter["AllowedValues"]])
                    if "AllowedPattern" in parameter:
                        self.assertRegex(value, parameter["AllowedPattern"])
        self.assertIn("DeletionProtection=true", config["prod"]["deploy"]["parameters"]["parameter_overrides"])

    def test_patterns_refuse_what_must_not_pass(self):
        rows = {
            "CorbadoProjectId": (["pro-8082025094780851363"], ["", "pro-", "8082025094780851363"]),
            "CorbadoBackendApiUrl": (
                ["https://backendapi.cloud.corbado.io/v2", "http://127.0.0.1:9000/v2"],
                ["http://backendapi.cloud.corbado.io", "https://user@host", "https://host?x", "http://localhost.evil.com"],
            ),
            "AllowedOrigins": (
                ["https://app.example.com", "https://a.example.com, https://b.example.com:8443", "http://localhost:3000"],
                ["", "*", "app.example.com", "https://app.example.com/"],
            ),
            "UserPoolId": (["", "eu-central-1_AbCdEfGhI", "us-gov-west-1_abc"], ["eu-central-1", "pool"]),
            "CorbadoApiSecretArn": (
                ["", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:corbado/api-AbCdEf"],
                ["corbado/api", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:api", "arn:aws:ssm:eu-central-1:123456789012:parameter/x", "s3cret"],
            ),
        }
        for name, (good, bad) in rows.items():
            pattern = TEMPLATE["Parameters"][name]["AllowedPattern"]
            for value in good:
                self.assertRegex(value, pattern, name)
            for value in bad:
                self.assertNotRegex(value, pattern, name)

    def test_outputs_are_the_addresses_to_paste(self):
        for name in ACTIONS:
            url = TEMPLATE["Outputs"][f"{FUNCTIONS[name]}Url"]["Value"]["Fn::Sub"][0]
            self.assertEqual(url, f"${{Base}}/actions/{name}")
            route = RESOURCES[f"{FUNCTIONS[name]}Route"]["Properties"]["RouteKey"]
            self.assertEqual(route, f"POST /actions/{name}")


class Workflows(unittest.TestCase):
    FILES = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))

    def test_actions_are_pinned_by_their_full_commit_with_the_version_beside(self):
        uses = [
            (path.name, line.strip())
            for path in self.FILES
            for line in path.read_text().splitlines()
            if re.match(r"\s*(- )?uses: ", line) and "uses: ./" not in line
        ]
        self.assertTrue(uses)
        for name, line in uses:
            self.assertRegex(line, r"^(- )?uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", name)

    def test_nothing_is_permitted_but_by_the_job(self):
        import yaml

        for path in self.FILES:
            workflow = yaml.safe_load(path.read_text())
            self.assertEqual(workflow["permissions"], {}, path.name)
            for name, job in workflow["jobs"].items():
                with self.subTest(f"{path.name} {name}"):
                    self.assertIn("permissions", job)
                    writes = {scope for scope, level in job["permissions"].items() if level == "write"}
                    self.assertLessEqual(writes, {"id-token"})
                    # A role of AWS is taken only where a person or a branch rule stands before it.
                    if "id-token" in writes and "uses" not in job:
                        self.assertIn("environment", job)


if __name__ == "__main__":
    unittest.main()
