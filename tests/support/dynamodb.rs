//! The table of `infra/table.json`, made where a test needs it, and moto as a second DynamoDB beside ministack.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, GlobalSecondaryIndex, KeySchemaElement, Projection, TableStatus,
    TimeToLiveSpecification,
};
use serde_json::{Map, Value};

use crate::host::free_port;

/// The settings that lead an AWS client to a server.
pub type Pairs = [(&'static str, String)];

/// Runs moto_server. Its threads take no lock between a condition and the write: two conditional writes both succeed
/// where Python switches threads in between, so it must not, save where one waits.
const MOTO: &str = "import sys; sys.setswitchinterval(10); from moto.server import main; main(sys.argv[1:])";

/// moto's server. Dropping it stops it.
pub struct Moto {
    process: Child,
    port: u16,
}

impl Moto {
    /// Starts it and waits until it answers.
    pub async fn start() -> Self {
        let port = free_port();
        // The interpreter is there in any case; this tells when moto is not.
        crate::tool("moto_server");
        let process = Command::new(crate::tool("python"))
            .args(["-c", MOTO, "-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Self { process, port };
        let deadline = Instant::now() + Duration::from_secs(60);
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(Instant::now() < deadline, "moto does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        moto
    }

    /// The settings that lead an AWS client there.
    pub fn settings(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_REGION", "eu-central-1".into()),
            ("AWS_ACCESS_KEY_ID", "test".into()),
            ("AWS_SECRET_ACCESS_KEY", "test".into()),
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port)),
        ]
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client for looking into tables.
pub fn client(pairs: &Pairs) -> Client {
    let mut pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    // An emulator in Python may be slow.
    pairs.push(("UPSTREAM_TIMEOUT_MS", "10000"));
    let mut settings = crate::settings(&pairs);
    let https = outbound::Https::from_settings(&mut settings, outbound::Trust::Aws).unwrap();
    Client::new(&outbound::aws::sdk_config(&mut settings, &https, "NONE").unwrap())
}

/// The table's definition, as a template must repeat it.
pub fn definition() -> Value {
    let text = std::fs::read_to_string(crate::repository().join("infra/table.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Creates the table of `infra/table.json`, waits until it is active, and returns its name.
pub async fn create_table(pairs: &Pairs) -> String {
    let name = "sessions";
    let client = client(pairs);
    let mut definition = Definition(definition().as_object().unwrap().clone());
    let ttl = definition.take("TimeToLiveSpecification");
    client
        .create_table()
        .table_name(name)
        .set_attribute_definitions(Some(list(&definition.take("AttributeDefinitions"), attribute)))
        .set_key_schema(Some(list(&definition.take("KeySchema"), key)))
        .set_global_secondary_indexes(Some(list(&definition.take("GlobalSecondaryIndexes"), index)))
        .billing_mode(text(&definition.take("BillingMode")).into())
        .send()
        .await
        .unwrap();
    assert!(definition.0.is_empty(), "not passed on: {:?}", definition.0);

    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let table = client.describe_table().table_name(name).send().await.unwrap().table.unwrap();
        if table.table_status == Some(TableStatus::Active) {
            break;
        }
        assert!(Instant::now() < deadline, "the table is {:?}", table.table_status);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let ttl = TimeToLiveSpecification::builder()
        .attribute_name(text(&ttl["AttributeName"]))
        .enabled(ttl["Enabled"].as_bool().unwrap())
        .build()
        .unwrap();
    client.update_time_to_live().table_name(name).time_to_live_specification(ttl).send().await.unwrap();
    name.to_owned()
}

/// What is left of the definition.
struct Definition(Map<String, Value>);

impl Definition {
    fn take(&mut self, name: &str) -> Value {
        self.0.remove(name).unwrap()
    }
}

fn list<T>(values: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    values.as_array().unwrap().iter().map(read).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn attribute(value: &Value) -> AttributeDefinition {
    AttributeDefinition::builder()
        .attribute_name(text(&value["AttributeName"]))
        .attribute_type(text(&value["AttributeType"]).into())
        .build()
        .unwrap()
}

fn key(value: &Value) -> KeySchemaElement {
    KeySchemaElement::builder()
        .attribute_name(text(&value["AttributeName"]))
        .key_type(text(&value["KeyType"]).into())
        .build()
        .unwrap()
}

fn index(value: &Value) -> GlobalSecondaryIndex {
    let projection = text(&value["Projection"]["ProjectionType"]).into();
    GlobalSecondaryIndex::builder()
        .index_name(text(&value["IndexName"]))
        .set_key_schema(Some(list(&value["KeySchema"], key)))
        .projection(Projection::builder().projection_type(projection).build())
        .build()
        .unwrap()
}
