//! Functions on ministack: the real binaries as `provided.al2023`, each under a role of its own.

use std::path::Path;

use serde_json::json;

use crate::emulator::Emulator;

/// Zips the binary as `bootstrap` and creates role and function. boto3 is there with the emulator.
const SCRIPT: &str = r#"
import boto3, io, json, sys, zipfile

wanted = json.load(sys.stdin)
client = lambda name: boto3.client(name, endpoint_url=wanted["endpoint"], region_name="eu-central-1",
                                   aws_access_key_id="test", aws_secret_access_key="test")
trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
         "Action": "sts:AssumeRole"}]}
policy = {"Version": "2012-10-17", "Statement": wanted["statements"]}
name = wanted["name"]
role = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
client("iam").put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=json.dumps(policy))
code = io.BytesIO()
with zipfile.ZipFile(code, "w") as archive:
    entry = zipfile.ZipInfo("bootstrap")
    entry.external_attr = 0o755 << 16
    with open(wanted["binary"], "rb") as binary:
        archive.writestr(entry, binary.read())
made = client("lambda").create_function(FunctionName=name, Runtime="provided.al2023", Handler="bootstrap", Role=role,
    Timeout=wanted["timeout"], Code={"ZipFile": code.getvalue()}, Environment={"Variables": wanted["environment"]})
json.dump(made["FunctionArn"], sys.stdout)
"#;

/// A function to come.
pub struct Function<'a> {
    pub name: &'a str,
    pub binary: &'a Path,
    /// In seconds.
    pub timeout: u64,
    pub environment: Vec<(&'a str, String)>,
    /// What its role allows: (action, resource).
    pub allowed: Vec<(&'a str, String)>,
}

impl Function<'_> {
    /// Creates it, and returns its ARN.
    pub fn create(&self, emulator: &Emulator) -> String {
        assert!(self.binary.exists(), "{} is missing: run the tests by `make test`", self.binary.display());
        let allow = |(action, resource): &(&str, String)| json!({"Effect": "Allow", "Action": action, "Resource": resource});
        let environment: serde_json::Map<_, _> =
            self.environment.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
        let wanted = json!({
            "endpoint": emulator.url(),
            "name": self.name,
            "binary": self.binary,
            "timeout": self.timeout,
            "environment": environment,
            "statements": self.allowed.iter().map(allow).collect::<Vec<_>>(),
        });
        let arn = crate::python::run(SCRIPT, &wanted);
        arn.as_str().unwrap().to_owned()
    }
}

/// custom-auth as it is deployed, with the role that the README asks for, and no more. Returns its ARN.
pub fn create_custom_auth(
    emulator: &Emulator,
    corbado_url: &str,
    table: &str,
    more: &[(&'static str, String)],
) -> String {
    let arn = format!("arn:aws:dynamodb:eu-central-1:000000000000:table/{table}");
    let binary = crate::binaries().parent().unwrap().join("deployable/custom-auth");
    let mut environment = vec![
        ("CORBADO_PROJECT_ID", "pro-sandbox".into()),
        ("CORBADO_API_SECRET", "sandbox".into()),
        ("CORBADO_BACKEND_API_URL", corbado_url.to_owned()),
        ("REPLAY_STORE", "dynamodb".into()),
        ("DYNAMODB_TABLE", table.into()),
        // More than the function's own limits, which count.
        ("UPSTREAM_TIMEOUT_MS", "20000".into()),
    ];
    environment.extend(more.iter().cloned());
    let function = Function {
        name: "custom-auth",
        binary: &binary,
        // More than deployed, so that it is the function that gives up in time, on a busy machine, too.
        timeout: 10,
        environment,
        allowed: ["dynamodb:PutItem", "dynamodb:GetItem", "dynamodb:UpdateItem"]
            .map(|action| (action, arn.clone()))
            .to_vec(),
    };
    function.create(emulator)
}
