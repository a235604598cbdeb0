//! The graph of a plan in each format.

mod support;

use boot_orchestrator::{GraphFormat, Plan, Registry};
use component::{NeedKind, Phase};
use support::{descriptor, need};

fn plan() -> Plan {
    let mut registry = Registry::new();
    registry.declare(descriptor("store", Phase::Pit));
    registry.declare(
        descriptor("in\"dex", Phase::Pit)
            .needs(need("store", NeedKind::One))
            .needs(need("user", NeedKind::Late)),
    );
    registry.declare(
        descriptor("user", Phase::Conductor)
            .needs(need("store", NeedKind::Optional))
            .needs(need("in\"dex", NeedKind::Every)),
    );
    registry.plan().expect("a lawful graph")
}

#[test]
fn as_text() {
    insta::assert_snapshot!(plan().graph(GraphFormat::Text), @r#"
    pit
      store
      in"dex  needs store, user (late)
    conductor
      user    needs store (optional), in"dex (every)
    "#);
}

#[test]
fn as_mermaid() {
    insta::assert_snapshot!(plan().graph(GraphFormat::Mermaid), @r#"
    flowchart BT
      subgraph pit
        n0["store"]
        n1["in#quot;dex"]
      end
      subgraph conductor
        n2["user"]
      end
      n1 --> n0
      n1 -. late .-> n2
      n2 -- optional --> n0
      n2 -- every --> n1
    "#);
}

#[test]
fn as_dot() {
    insta::assert_snapshot!(plan().graph(GraphFormat::Dot), @r#"
    digraph symphony {
      rankdir = BT;
      node [shape = box];
      subgraph cluster_pit {
        label = "pit";
        n0 [label = "store"];
        n1 [label = "in\"dex"];
      }
      subgraph cluster_conductor {
        label = "conductor";
        n2 [label = "user"];
      }
      n1 -> n0;
      n1 -> n2 [style = dashed, constraint = false, label = "late"];
      n2 -> n0 [label = "optional"];
      n2 -> n1 [label = "every"];
    }
    "#);
}

#[test]
fn as_json() {
    let value: serde_json::Value = serde_json::from_str(&plan().graph(GraphFormat::Json)).unwrap();
    assert_eq!(value["phases"].as_array().unwrap().len(), 5);
    let index = &value["components"][1];
    assert_eq!((&index["name"], &index["wave"]), (&"in\"dex".into(), &1.into()));
    assert_eq!(index["needs"][1]["kind"], "late");
    assert_eq!(GraphFormat::parse("svg"), None);
    assert_eq!(GraphFormat::parse("dot"), Some(GraphFormat::Dot));
}
