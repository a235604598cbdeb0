//! Three components need each other in a ring; a fourth only hangs on it.

component::component_graph! {
    enum Parts {
        phase ipc_bus {
            Bus "bus";
        }
        phase pit {
            Planner "planner" needs Bus, Index;
            Index "index" needs Store;
            Store "store" needs Bus, Planner;
            Reader "reader" needs Store;
        }
    }
}

fn main() {}
