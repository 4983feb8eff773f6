"""Real machines as their kernels describe them: cores, clocks and the name of the device tree, with their sources.

The texts are written from facts that are published for each machine, in the form in which Linux prints them
(arch/arm64/kernel/cpuinfo.c, arch/x86/kernel/cpu/proc.c).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from edgesim.host import identity
from edgesim.host.identity import BOARD_NAME, CPUINFO, MachineIdentity

# Fields of MIDR_EL1: arch/arm64/include/asm/cputype.h of Linux.
A53, A55, A57, A72, A73, A76, A78AE = ((0x41, part) for part in (0xD03, 0xD05, 0xD07, 0xD08, 0xD09, 0xD0B, 0xD42))
NEOVERSE_N1, NEOVERSE_N2_OF_MICROSOFT = (0x41, 0xD0C), (0x6D, 0xD49)
CARMEL, DENVER2 = (0x4E, 0x004), (0x4E, 0x003)
APPLE_IN_A_VM = (0x61, 0x000)

_V8 = "fp asimd evtstrm aes pmull sha1 sha2 crc32"
_V8_WITHOUT_CRYPTO = "fp asimd evtstrm crc32 cpuid"
_V8_2 = f"{_V8} atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"


@dataclass(frozen=True, kw_only=True)
class Cores:
    """Cores of one design, in the order of the kernel: MIDR's implementer and part, and the limit of the clock."""

    midr: tuple[int, int]
    count: int
    khz: int | None = None


@dataclass(frozen=True, kw_only=True)
class RecordedMachine:
    """A machine.

    Attributes:
        name: what the machine is, in words.
        source: where its facts were published.
        brand: of an x86 processor, whose cores have no MIDR: ``midr`` is then CPUID's family and model.
        boards: the profiles that describe exactly this machine, each in its power mode.
    """

    name: str
    source: str
    cores: Sequence[Cores]
    features: str = _V8
    model: str | None = None
    brand: str | None = None
    boards: frozenset[str] = field(default_factory=frozenset)

    @property
    def architecture(self) -> str:
        return "arm64" if self.brand is None else "amd64"

    @property
    def files(self) -> dict[str, str]:
        """The machine's texts by path, as `edgesim.host.identity` reads them."""
        files, cpuinfo = {}, ""
        for number, cores in enumerate(each for each in self.cores for _ in range(each.count)):
            cpuinfo += self._processor(number, cores)
            if cores.khz is not None:
                files[f"/sys/devices/system/cpu/cpu{number}/cpufreq/scaling_max_freq"] = f"{cores.khz}\n"
        if self.model is not None:
            files[BOARD_NAME] = f"{self.model}\0"
        return files | {CPUINFO: cpuinfo}

    @property
    def identity(self) -> MachineIdentity:
        return identity.of_files(self.files, architecture=self.architecture)

    def _processor(self, number: int, cores: Cores) -> str:
        if self.brand is not None:
            family, model = cores.midr
            return (
                f"processor\t: {number}\nvendor_id\t: GenuineIntel\ncpu family\t: {family}\nmodel\t\t: {model}\n"
                f"model name\t: {self.brand}\nflags\t\t: {self.features}\n\n"
            )
        implementer, part = cores.midr
        return (
            f"processor\t: {number}\nBogoMIPS\t: 48.00\nFeatures\t: {self.features}\n"
            f"CPU implementer\t: {implementer:#04x}\nCPU architecture: 8\nCPU variant\t: 0x0\n"
            f"CPU part\t: {part:#05x}\nCPU revision\t: 0\n\n"
        )


_SBC_BENCH = "ThomasKaiser/sbc-bench, results/"

MACHINES: tuple[RecordedMachine, ...] = (
    RecordedMachine(
        name="Jetson Nano",
        source=f"{_SBC_BENCH}4rLX.txt",
        cores=[Cores(midr=A57, count=4, khz=1_479_000)],
        model="NVIDIA Jetson Nano Developer Kit",
        boards=frozenset({"jetson-nano"}),
    ),
    RecordedMachine(
        name="Jetson Nano in the mode of 5 W",
        source="nvpmodel_t210_jetson-nano.conf of L4T R32: two cores are off",
        cores=[Cores(midr=A57, count=2, khz=918_000)],
        model="NVIDIA Jetson Nano Developer Kit",
        boards=frozenset({"jetson-nano:5w"}),
    ),
    RecordedMachine(
        name="Jetson TX1",
        source="rbonghi/jetson_stats, issue 48 (model of JetPack 3.2); NVIDIA's data sheet: 1.73 GHz",
        cores=[Cores(midr=A57, count=4, khz=1_734_000)],
        model="jetson_tx1",
    ),
    RecordedMachine(
        name="Jetson TX2 with its Denver2 cores off",
        source="adafruit/Adafruit_Python_PlatformDetect, PR 36 (model); nvpmodel_t186.conf: MAXP_CORE_ARM, 2035 MHz",
        cores=[Cores(midr=A57, count=4, khz=2_035_200)],
        model="quill",
        boards=frozenset({"jetson-tx2", "jetson-tx2:MAXN"}),
    ),
    RecordedMachine(
        name="Jetson TX2 with all cores, in the order of its kernel",
        source="as above: MAXN; /proc/cpuinfo of a TX2 lists an A57, the two Denver2, and three A57",
        cores=[
            Cores(midr=A57, count=1, khz=2_035_200),
            Cores(midr=DENVER2, count=2, khz=2_035_200),
            Cores(midr=A57, count=3, khz=2_035_200),
        ],
        model="quill",
        boards=frozenset({"jetson-tx2", "jetson-tx2:MAXN"}),
    ),
    RecordedMachine(
        name="Jetson Xavier NX",
        source=f"{_SBC_BENCH}3YWp.txt; 15 W with 6 cores: 1420 MHz (nvpmodel_t194_p3668.conf)",
        cores=[Cores(midr=CARMEL, count=6, khz=1_420_800)],
        features=f"{_V8} atomics fphp asimdhp",
        model="NVIDIA Jetson Xavier NX Developer Kit",
        boards=frozenset({"jetson-xavier-nx", "jetson-xavier-nx:20w-6core"}),
    ),
    RecordedMachine(
        name="Jetson AGX Orin",
        source=f"{_SBC_BENCH}4ax9.txt",
        cores=[Cores(midr=A78AE, count=12, khz=2_201_600)],
        features=f"{_V8_2} uscat ilrcpc flagm",
        model="NVIDIA Orin Jetson-Small Developer Kit",
        boards=frozenset({"jetson-agx-orin"}),
    ),
    RecordedMachine(
        name="Jetson Orin Nano",
        source=f"{_SBC_BENCH}4vy7.txt",
        cores=[Cores(midr=A78AE, count=6, khz=1_510_400)],
        features=f"{_V8_2} uscat ilrcpc flagm",
        model="NVIDIA Orin Nano Developer Kit",
        boards=frozenset({"jetson-orin-nano"}),
    ),
    RecordedMachine(
        name="Raspberry Pi 3B+",
        source="openWB's README (model); raspberrypi.com: 1.4 GHz",
        cores=[Cores(midr=A53, count=4, khz=1_400_000)],
        features=_V8_WITHOUT_CRYPTO,
        model="Raspberry Pi 3 Model B Plus Rev 1.3",
        boards=frozenset({"raspberry-pi-3"}),
    ),
    RecordedMachine(
        name="Raspberry Pi 3B, a slower board with the same core",
        source="raspberrypi.com: 1.2 GHz; arch/arm/boot/dts/broadcom/bcm2837-rpi-3-b.dts of Linux",
        cores=[Cores(midr=A53, count=4, khz=1_200_000)],
        features=_V8_WITHOUT_CRYPTO,
        model="Raspberry Pi 3 Model B Rev 1.2",
    ),
    RecordedMachine(
        name="Raspberry Pi 4B",
        source=f"{_SBC_BENCH}3OBF.txt",
        cores=[Cores(midr=A72, count=4, khz=1_800_000)],
        features=_V8_WITHOUT_CRYPTO,
        model="Raspberry Pi 4 Model B Rev 1.1",
        boards=frozenset({"raspberry-pi-4"}),
    ),
    RecordedMachine(
        name="Raspberry Pi 4B at its first clock",
        source="raspberrypi.com: 1.5 GHz",
        cores=[Cores(midr=A72, count=4, khz=1_500_000)],
        features=_V8_WITHOUT_CRYPTO,
        model="Raspberry Pi 4 Model B Rev 1.1",
        boards=frozenset({"raspberry-pi-4:1.1"}),
    ),
    RecordedMachine(
        name="Raspberry Pi 400, a keyboard with the same chip",
        source=f"{_SBC_BENCH}2Cyi.txt",
        cores=[Cores(midr=A72, count=4, khz=1_800_000)],
        features=_V8_WITHOUT_CRYPTO,
        model="Raspberry Pi 400 Rev 1.0",
    ),
    RecordedMachine(
        name="Raspberry Pi 5",
        source=f"{_SBC_BENCH}8-NK.txt",
        cores=[Cores(midr=A76, count=4, khz=2_400_000)],
        features=_V8_2,
        model="Raspberry Pi 5 Model B Rev 1.1",
        boards=frozenset({"raspberry-pi-5", "raspberry-pi-5-ai-hat"}),
    ),
    RecordedMachine(
        name="Raspberry Pi 500, a keyboard with the same chip",
        source="raspberrypi.com: 2.4 GHz",
        cores=[Cores(midr=A76, count=4, khz=2_400_000)],
        features=_V8_2,
        model="Raspberry Pi 500 Rev 1.0",
    ),
    RecordedMachine(
        name="Orange Pi 5",
        source=f"{_SBC_BENCH}4D0a.txt",
        cores=[Cores(midr=A55, count=4, khz=1_800_000), Cores(midr=A76, count=4, khz=2_400_000)],
        features=_V8_2,
        model="Orange Pi 5",
        boards=frozenset({"rk3588:big-2400"}),
    ),
    RecordedMachine(
        name="Orange Pi 5 with its big cores off",
        source="the same board with `maxcpus=4`",
        cores=[Cores(midr=A55, count=4, khz=1_800_000)],
        features=_V8_2,
        model="Orange Pi 5",
        boards=frozenset({"rk3588:little"}),
    ),
    RecordedMachine(
        name="Orange Pi 4",
        source=f"{_SBC_BENCH}4Kau.txt",
        cores=[Cores(midr=A53, count=4, khz=1_512_000), Cores(midr=A72, count=2, khz=2_016_000)],
        features=f"{_V8} cpuid",
        model="OrangePi 4",
        boards=frozenset({"rk3399:big-overclocked"}),
    ),
    RecordedMachine(
        name="ODROID-N2+",
        source=f"{_SBC_BENCH}4rWn.txt",
        cores=[Cores(midr=A53, count=2, khz=2_016_000), Cores(midr=A73, count=4, khz=2_400_000)],
        features=f"{_V8} cpuid",
        model="Hardkernel ODROID-N2Plus",
        boards=frozenset({"odroid-n2-plus:big-overclocked"}),
    ),
    RecordedMachine(
        name="Amazon A1, with the core of a Raspberry Pi 4",
        source=f"{_SBC_BENCH}2iFY.txt: 4 Cortex-A72 at 2.3 GHz; a virtual machine has no device tree and no clock",
        cores=[Cores(midr=A72, count=4)],
        features=f"{_V8} cpuid",
    ),
    RecordedMachine(
        name="Graviton2",
        source="aws.amazon.com: Neoverse-N1; features of Neoverse-N1's manual",
        cores=[Cores(midr=NEOVERSE_N1, count=4)],
        features=f"{_V8_2} ssbs",
    ),
    RecordedMachine(
        name="arm runner of a CI service",
        source="Azure Cobalt 100: Neoverse-N2 with Microsoft's implementer, sys-utils/lscpu-arm.c of util-linux",
        cores=[Cores(midr=NEOVERSE_N2_OF_MICROSOFT, count=4)],
        features=f"{_V8_2} jscvt fcma sha3 sha512 sve sve2 i8mm bf16 ssbs",
    ),
    RecordedMachine(
        name="virtual machine of a Mac",
        source=f"{_SBC_BENCH}4sjK.txt (features); Docker Desktop's /proc/cpuinfo has implementer 0x61, part 0x000",
        cores=[Cores(midr=APPLE_IN_A_VM, count=8)],
        features=f"{_V8_2} jscvt fcma sha3 sha512 asimdfhm dit uscat ilrcpc flagm sb paca pacg flagm2 frint",
    ),
    RecordedMachine(
        name="virtual machine of QEMU with a Jetson Nano's core",
        source="hw/arm/virt.c of QEMU",
        cores=[Cores(midr=A57, count=4)],
        model="linux,dummy-virt",
    ),
    RecordedMachine(
        name="LattePanda Mu",
        source=f"{_SBC_BENCH}uHzXI7.txt",
        cores=[Cores(midr=(6, 0xBE), count=4, khz=3_400_000)],
        features="fpu sse2 ssse3 sse4_1 sse4_2 aes avx f16c fma avx2 avx_vnni",
        brand="Intel(R) N100",
        boards=frozenset({"intel-n100"}),
    ),
    RecordedMachine(
        name="box with a Core i3-N305",
        source="report to Linux' mailing list (perf, 6.3-rc4); Intel's specification: 3.8 GHz",
        cores=[Cores(midr=(6, 0xBE), count=8, khz=3_800_000)],
        features="fpu sse2 ssse3 sse4_1 sse4_2 aes avx f16c fma avx2 avx_vnni",
        brand="Intel(R) Core(TM) i3-N305",
        boards=frozenset({"intel-i3-n305"}),
    ),
    RecordedMachine(
        name="box with a Celeron J4125",
        source="Go's benchmarks in qydysky/part (brand); Intel's specification: 2.7 GHz",
        cores=[Cores(midr=(6, 0x7A), count=4, khz=2_700_000)],
        features="fpu sse2 ssse3 sse4_1 sse4_2 aes sha_ni",
        brand="Intel(R) Celeron(R) J4125 CPU @ 2.00GHz",
        boards=frozenset({"intel-j4125"}),
    ),
    RecordedMachine(
        name="server with the core count of a box",
        source="/proc/cpuinfo of a virtual machine",
        cores=[Cores(midr=(25, 17), count=4)],
        features="fpu sse2 ssse3 sse4_1 sse4_2 aes avx avx2 avx512f",
        brand="AMD EPYC",
    ),
)


def machine(name: str) -> RecordedMachine:
    return next(each for each in MACHINES if each.name == name)


_MEMINFO = "MemTotal:        4058976 kB\nMemFree:         3456789 kB\nMemAvailable:    3565432 kB\n"
_OS_RELEASE = 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 18.04.6 LTS"\n'
_L2 = "/sys/devices/system/cpu/cpu{number}/cache/index2"


def machine_survey(recorded: RecordedMachine, **other: Any) -> dict[str, Any]:
    """Return what `edgesim.host.machine_probe` prints on a machine; `other` replaces parts of it."""
    files = dict(recorded.files)
    if BOARD_NAME in files:
        files["/sys/firmware/devicetree/base/model"] = files.pop(BOARD_NAME)
        files["/sys/firmware/devicetree/base/compatible"] = "vendor,board\0vendor,chip\0"
    files |= {"/proc/meminfo": _MEMINFO, "/etc/os-release": _OS_RELEASE}
    for number in range(recorded.identity.count):
        base = _L2.format(number=number)
        files |= {f"{base}/level": "2\n", f"{base}/type": "Unified\n", f"{base}/size": "2048K\n"}
        files[f"{base}/shared_cpu_list"] = "0-3\n"
    rates = {"copy_bytes_per_s": 3_734_900_000, "fill_bytes_per_s": 8_871_900_000, "read_bytes_per_s": 4_266_500_000}
    firsts, number = [], 0
    for cores in recorded.cores:
        firsts.append({"core": number, "buffer_bytes": 64 << 20, **rates})
        number += cores.count
    return {
        "files": files,
        "architecture": {"arm64": "aarch64", "amd64": "x86_64"}[recorded.architecture],
        "kernel": "4.9.201-tegra",
        "glibc": "2.27",
        "python": "3.6",
        "load": 0.1,
        "bandwidth": firsts,
        "storage": {"kind": "32 GB SD card (SC32G)", "read_bytes_per_s": 88_000_000, "problem": None},
    } | other
