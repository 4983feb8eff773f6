"""What a run was worth: resources, statistics, agreement, validity."""
