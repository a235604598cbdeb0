"""What a running system is used through: the kit, the Pit, the Conductor's thread and awaitables."""
