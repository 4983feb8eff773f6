"""A simulated board: where it runs, its limits, its server, and its time.

A start goes through values: `Launch` (what is to be started) -> `Placement` (execution, architecture, emulator) ->
`Limits` -> image -> delivered models -> container -> `Board`. See `edgesim.boards.start`.
"""
