//! A component needs itself, and two others need each other: both rings are told.

component::component_graph! {
    enum Parts {
        phase pit {
            Mirror "mirror" needs Mirror;
            Left "left" needs Right;
            Right "right" needs Left;
        }
    }
}

fn main() {}
