"""The host: control groups, disks, network, emulator, host load, priority and signals."""
