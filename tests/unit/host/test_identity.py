import pytest

from edgesim import profiles
from edgesim.host import identity
from edgesim.host.identity import BOARD_NAME, CPUINFO, Comparison, MachineIdentity
from edgesim.profiles import DeviceProfile
from edgesim.profiles.cores import HOST
from edgesim.results.sections import ComparedSection, section

# One processor of /proc/cpuinfo, as Linux 4.9 to 6.8 print it on arm64.
PROCESSOR = """processor\t: {number}
BogoMIPS\t: 38.40
Features\t: {features}
CPU implementer\t: {implementer:#04x}
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: {part:#05x}
CPU revision\t: 1

"""
A57, A72, DENVER2, NEOVERSE_N1 = (0x41, 0xD07), (0x41, 0xD08), (0x4E, 0x003), (0x41, 0xD0C)
# Apple's M1 in a virtual machine of macOS: no part that any table has.
APPLE_IN_A_VM = (0x61, 0x000)
V8 = "fp asimd evtstrm aes pmull sha1 sha2 crc32"
NANO = "NVIDIA Jetson Nano Developer Kit"


def cpuinfo(*cores: tuple[int, int], features: str = V8) -> str:
    return "".join(
        PROCESSOR.format(number=number, implementer=implementer, part=part, features=features)
        for number, (implementer, part) in enumerate(cores)
    )


def machine(
    *cores: tuple[int, int], board: str | None = None, khz: int | None = None, hardware_khz: int | None = None
) -> MachineIdentity:
    """Return the identity of an arm64 machine; a device tree's text ends in a zero byte, and the kernel writes kHz."""
    files = {CPUINFO: cpuinfo(*cores)}
    if board is not None:
        files[BOARD_NAME] = f"{board}\0"
    for name, clock in (("scaling_max_freq", khz), ("cpuinfo_max_freq", hardware_khz)):
        if clock is not None:
            files |= {f"/sys/devices/system/cpu/cpu{n}/cpufreq/{name}": f"{clock}\n" for n in range(len(cores))}
    return identity.of_files(files, architecture="arm64")


def nano(reference: str = "jetson-nano", **facts: object) -> DeviceProfile:
    """Return a Jetson Nano that says what it calls itself."""
    return profiles.load(reference).model_copy(update={"device_tree": (NANO,), **facts})


def findings(comparison: Comparison) -> dict[str, bool | None]:
    return {each.name: each.agrees for each in comparison.compared}


def test_cores_are_named_by_implementer_and_part() -> None:
    assert machine(*4 * [A57]).cores[0].core == "Cortex-A57"
    assert machine(*4 * [A72]).cores[0].core == "Cortex-A72"
    assert machine(*2 * [NEOVERSE_N1]).cores[0].core == "Neoverse-N1"
    assert machine(*4 * [A57]).count == 4


def test_a_core_that_no_table_has_is_named_by_its_numbers() -> None:
    core = machine(APPLE_IN_A_VM).cores[0]
    assert core.core == "Apple core of implementer 0x61, part 0x000"
    assert (core.implementer, core.part) == (0x61, 0)


def test_cores_of_several_designs_are_counted_apart() -> None:
    groups = machine(A57, DENVER2, DENVER2, A57, A57, A57).cores
    assert [(group.core, group.count) for group in groups] == [("Cortex-A57", 4), ("Denver2", 2)]


def test_name_of_the_board_has_no_zero_byte() -> None:
    assert machine(A57, board=NANO).board == NANO
    assert machine(A57).board is None


def test_clock_is_the_one_that_the_power_mode_permits() -> None:
    assert machine(A57, khz=918_000, hardware_khz=1_479_000).clock_hz == 918_000_000
    assert machine(A57, hardware_khz=1_479_000).clock_hz == 1_479_000_000
    assert machine(A57).clock_hz is None


def test_x86_machine_has_the_brand_of_its_processor() -> None:
    text = "".join(f"processor\t: {n}\nmodel name\t: Intel(R) N100\nflags\t\t: fpu sse4_2 avx2\n\n" for n in range(4))
    host = identity.of_files({CPUINFO: text}, architecture="amd64")
    assert [(group.core, group.count) for group in host.cores] == [("Intel(R) N100", 4)]
    assert host.features == ("fpu", "sse4_2", "avx2")


def test_machine_without_a_readable_processor_has_no_cores() -> None:
    assert identity.of_files({}, architecture="arm64") == MachineIdentity(architecture="arm64")


def test_this_host_is_a_machine_with_cores() -> None:
    host = identity.of_this_host()
    assert host.count >= 1
    assert host.architecture in ("amd64", "arm64")


def test_the_board_itself_is_the_board() -> None:
    comparison = identity.compare(machine(*4 * [A57], board=NANO, khz=1_479_000), nano())
    assert comparison.is_the_board
    assert findings(comparison) == {"core": True, "cores": True, "clock": True, "board": True}


def test_board_whose_kernel_does_not_tell_the_clock_is_the_board() -> None:
    assert identity.compare(machine(*4 * [A57], board=NANO), nano()).is_the_board


@pytest.mark.parametrize(
    ("host", "against"),
    [
        (machine(*4 * [NEOVERSE_N1]), ["core", "board"]),
        (machine(*4 * [A57]), ["board"]),  # the right core, and no proof
        (machine(*4 * [A57], board="NVIDIA Shield TV"), ["board"]),
        (machine(*2 * [A57], board=NANO), ["cores"]),
        (machine(*4 * [A57], board=NANO, khz=1_734_000), ["clock"]),  # overclocked
        (machine(*4 * [A57], board=NANO, khz=1_224_000), ["clock"]),
        (machine(*4 * [A57], A72, board=NANO), ["other cores"]),
        (identity.of_files({}, architecture="arm64"), ["core", "cores", "board"]),
    ],
)
def test_machine_that_differs_from_the_board_is_not_the_board(host: MachineIdentity, against: list[str]) -> None:
    comparison = identity.compare(host, nano())
    assert comparison.same_architecture
    assert not comparison.is_the_board
    assert [each.name for each in comparison.against] == against


@pytest.mark.parametrize("host", [machine(NEOVERSE_N1), machine(*4 * [A57]), machine(*4 * [A57], board=NANO)])
def test_result_keeps_what_stands_against_the_board(host: MachineIdentity) -> None:
    comparison = identity.compare(host, nano())
    kept = [section(ComparedSection, each) for each in comparison.compared]
    assert [each.name for each in kept if each.stands_against] == [each.name for each in comparison.against]


def test_power_mode_is_part_of_the_board() -> None:
    in_5w = machine(*2 * [A57], board=NANO, khz=918_000, hardware_khz=1_479_000)
    assert identity.compare(in_5w, nano("jetson-nano:5w")).is_the_board
    assert not identity.compare(machine(*4 * [A57], board=NANO, khz=1_479_000), nano("jetson-nano:5w")).is_the_board


def test_power_mode_in_which_the_machine_would_be_the_board_is_named() -> None:
    in_5w = machine(*2 * [A57], board=NANO, khz=918_000)
    assert "use jetson-nano:5w" in identity.compare(in_5w, nano()).remedy
    assert identity.compare(machine(*2 * [NEOVERSE_N1]), nano()).remedy == ""


def test_profile_that_does_not_say_what_its_board_calls_itself_is_never_proven() -> None:
    comparison = identity.compare(machine(*4 * [A57], board=NANO, khz=1_479_000), nano(device_tree=()))
    assert not comparison.is_the_board
    assert comparison.differences == "board: the profile does not state it"
    assert comparison.remedy == f"if this is the board, add device_tree: [{NANO}] to its profile"
    assert identity.compare(machine(*4 * [A57]), nano(device_tree=())).remedy == ""
    virtual = machine(*4 * [A57], board="linux,dummy-virt")
    assert identity.compare(virtual, nano(device_tree=())).remedy == "", "every virtual machine of QEMU has that name"


def test_board_that_differs_in_its_name_alone_is_told_how_to_state_its_name() -> None:
    carrier = machine(*4 * [A57], board="ACME AI box with Jetson Nano", khz=1_479_000)
    comparison = identity.compare(carrier, nano())
    assert not comparison.is_the_board
    assert "extends: jetson-nano and device_tree: [ACME AI box with Jetson Nano]" in comparison.remedy
    stated = nano(device_tree=("ACME AI box with Jetson Nano",))
    assert identity.compare(carrier, stated).is_the_board
    overclocked = machine(*4 * [A57], board="NVIDIA Shield TV", khz=2_014_500)
    assert identity.compare(overclocked, nano()).remedy == "", "its clock is another one, too"


@pytest.mark.parametrize(
    ("name", "stated", "agrees"),
    [
        ("Raspberry Pi 4 Model B Rev 1.4", "Raspberry Pi 4 Model B", True),
        ("Raspberry Pi 400 Rev 1.0", "Raspberry Pi 4", False),
        ("A Raspberry Pi 4", "Raspberry Pi 4", False),
    ],
)
def test_name_of_the_board_begins_with_whole_words(name: str, stated: str, agrees: bool) -> None:
    profile = profiles.load("raspberry-pi-4").model_copy(update={"device_tree": (stated,)})
    comparison = identity.compare(machine(*4 * [A72], board=name), profile)
    assert findings(comparison)["board"] is agrees


def test_cores_of_another_cluster_may_be_off() -> None:
    profile = profiles.load("jetson-tx2")
    assert profile.cpu.others
    profile = profile.model_copy(update={"device_tree": ("quill",)})
    main, cpu = {"Cortex-A57": A57, "Denver2": DENVER2}, profile.cpu
    alone = machine(*cpu.cores * [main[cpu.core]], board="quill")
    both = machine(*cpu.cores * [main[cpu.core]], *cpu.others[0].cores * [main[cpu.others[0].core]], board="quill")
    assert findings(identity.compare(alone, profile))["other cores"] is None
    assert findings(identity.compare(both, profile))["other cores"] is True
    assert identity.compare(alone, profile).is_the_board
    assert identity.compare(both, profile).is_the_board


def x86(brand: str, count: int = 4, khz: int | None = None) -> MachineIdentity:
    text = "".join(f"processor\t: {n}\nmodel name\t: {brand}\n\n" for n in range(count))
    files = {CPUINFO: text}
    if khz is not None:
        files["/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq"] = str(khz)
    return identity.of_files(files, architecture="amd64")


def mini_pc(**cpu: object) -> DeviceProfile:
    """Return an x86 board: 4 cores at 2 GHz of a processor with a name."""
    base = profiles.load("x86-gateway")
    facts = {"core": "Gracemont", "cores": 4, "clock_hz": 2_000_000_000, "brand": "N100"} | cpu
    return base.model_copy(update={"cpu": base.cpu.model_copy(update=facts)})


def test_x86_board_is_proven_by_the_name_and_the_cores_of_its_processor() -> None:
    assert identity.compare(x86("Intel(R) N100"), mini_pc()).is_the_board
    assert identity.compare(x86("Intel(R) N100", khz=3_400_000), mini_pc()).is_the_board
    assert not identity.compare(x86("Intel(R) N100", khz=800_000), mini_pc()).is_the_board
    assert not identity.compare(x86("Intel(R) N100", 2), mini_pc()).is_the_board
    assert not identity.compare(x86("Intel(R) N1000"), mini_pc()).is_the_board
    assert not identity.compare(x86("AMD EPYC 7763"), mini_pc()).is_the_board
    assert not identity.compare(x86("Intel(R) N100"), mini_pc(brand=None)).is_the_board


def test_profile_with_the_core_of_its_host_is_no_board() -> None:
    comparison = identity.compare(x86("Intel(R) N100"), mini_pc(core=HOST))
    assert (comparison.same_architecture, comparison.is_the_board) == (True, False)


def test_machine_of_another_architecture_is_not_compared() -> None:
    comparison = identity.compare(x86("AMD EPYC 7763"), nano())
    assert (comparison.same_architecture, comparison.is_the_board, comparison.compared) == (False, False, ())
