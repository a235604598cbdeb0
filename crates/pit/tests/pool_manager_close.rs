//! The pool manager, closed while somebody still has it.

use std::sync::Arc;

use pit::PitError;
use pit::pool_manager::{Check, Factory, PoolManager, PoolManagerOptions, PoolOptions, Worker};

#[test]
fn closing_lets_go_of_factories_and_checks_also_where_one_is_out_on_lease() {
    let manager = PoolManager::new(PoolManagerOptions { memory: None });
    let held = Arc::new(());
    let (made, asked) = (Arc::clone(&held), Arc::clone(&held));
    let factory: Factory = Arc::new(move || Ok(Box::new(Arc::strong_count(&made)) as Worker));
    let check: Check = Arc::new(move |_| Ok(Arc::strong_count(&asked) > 0));
    let options = PoolOptions { check: Some(check), ..PoolOptions::default() };
    manager.register("model", factory, PoolOptions { size: 1, ..options }).unwrap();
    let lease = manager.lease("model", None).unwrap();
    assert_eq!(Arc::strong_count(&held), 3);
    manager.close();
    assert_eq!(Arc::strong_count(&held), 1);
    drop(lease);
    assert!(matches!(manager.lease("model", None), Err(PitError::Stopped { .. })));
    assert_eq!(manager.memory(), 0);
}
