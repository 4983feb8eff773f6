"""This machine: control groups, disks, network, emulator, load and priority."""
