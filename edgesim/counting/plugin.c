// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later
/*
 * A plugin of QEMU's user-mode emulator that counts the arm64 instructions of a program, by class and by thread, and
 * the bytes that the program loads and stores.
 *
 *   qemu-aarch64 -plugin count.so,socket=PATH PROGRAM ...
 *
 * A client connects to the Unix socket PATH, sends one line, and gets lines until the connection closes:
 *   counts   one line for each thread: "thread INDEX" and its counts, in the order of the enum below
 *   marks    one line for each mark since the last such request: "mark KIND", the counts of the thread that set the
 *            mark, and the counts of all threads together
 *
 * A program sets a mark with the system call MARK_SYSCALL, which no kernel has; its first argument is the kind. The
 * counts are those of the moment, so that the difference of two marks is what the program did in between.
 *
 * Instructions are decoded when QEMU translates a block, once; each run of the block adds the block's counts, in the
 * translated code itself. Encodings: Arm Architecture Reference Manual, C4.1 "A64 instruction set encoding".
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <qemu-plugin.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

#define MARK_SYSCALL 0x65646765
#define MOST_MARKS 65536

enum { VECTOR, VECTOR_MEMORY, SCALAR_MEMORY, BRANCH, SCALAR, LOADED, STORED, FIGURES };

typedef struct {
    uint64_t figure[FIGURES];
} Counts;

typedef struct {
    uint64_t kind;
    Counts own;
    Counts all;
} Mark;

static struct qemu_plugin_scoreboard *board;
static qemu_plugin_u64 entries[FIGURES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Mark *marks;
static size_t marks_set;
static size_t marks_lost;
static int listener = -1;

static uint32_t bits(uint32_t word, int high, int low)
{
    return (word >> low) & ((1u << (high - low + 1)) - 1);
}

static void add_bytes(Counts *counts, uint32_t is_load, uint32_t bytes)
{
    counts->figure[is_load ? LOADED : STORED] += bytes;
}

/* C4.1.94 "Loads and Stores". Prefetches, cache operations and memory tags move no data that a program sees. */
static void add_memory(Counts *counts, uint32_t word)
{
    uint32_t size = bits(word, 31, 30), vector = bits(word, 26, 26), opc = bits(word, 23, 22);

    if (bits(word, 29, 24) == 0x08) { /* exclusive, ordered, compare and swap */
        uint32_t is_pair = bits(word, 21, 21) && !bits(word, 23, 23) && size >= 2;
        add_bytes(counts, bits(word, 22, 22), (1u << size) << is_pair);
    } else if (bits(word, 29, 24) == 0x0c) { /* several structures: LD1 to LD4, ST1 to ST4 */
        static const uint32_t registers[16] = {4, 0, 4, 0, 3, 0, 3, 1, 2, 0, 2};
        add_bytes(counts, bits(word, 22, 22), registers[bits(word, 15, 12)] * (bits(word, 30, 30) ? 16 : 8));
    } else if (bits(word, 29, 24) == 0x0d) { /* one structure, or one for all lanes */
        uint32_t opcode = bits(word, 15, 13), scale = opcode >> 1;
        uint32_t elements = (((opcode & 1) << 1) | bits(word, 21, 21)) + 1;
        if (scale == 3) {
            scale = bits(word, 11, 10);
        } else if (scale == 2 && bits(word, 10, 10)) {
            scale = 3;
        }
        add_bytes(counts, bits(word, 22, 22), elements << scale);
    } else if (bits(word, 29, 27) == 3 && !bits(word, 24, 24)) { /* from an address beside the program counter */
        uint32_t is_prefetch = !vector && size == 3;
        add_bytes(counts, 1, is_prefetch ? 0 : vector ? 4u << size : size == 1 ? 8 : 4);
    } else if (bits(word, 29, 27) == 5) { /* pairs */
        uint32_t bytes = vector ? 4u << size : size == 2 ? 8 : 4;
        add_bytes(counts, bits(word, 22, 22), 2 * bytes);
    } else if (bits(word, 29, 27) == 7) { /* one register */
        if (vector) {
            add_bytes(counts, opc & 1, 1u << (((opc >> 1) << 2) | size));
        } else if (!bits(word, 24, 24) && bits(word, 21, 21) && bits(word, 11, 10) == 0) { /* atomic */
            add_bytes(counts, 1, 1u << size);
            add_bytes(counts, 0, 1u << size);
        } else if (!(size == 3 && opc == 2)) {
            add_bytes(counts, opc != 0, 1u << size);
        }
    }
}

/* C4.1 "A64 instruction set encoding", by bits 28 to 25. */
static void add_instruction(Counts *counts, uint32_t word)
{
    uint32_t group = bits(word, 28, 25);

    if ((group & 5) == 4) {
        counts->figure[bits(word, 26, 26) ? VECTOR_MEMORY : SCALAR_MEMORY]++;
        add_memory(counts, word);
    } else if ((group & 7) == 7 || group == 2) { /* SIMD and floating point; SVE, with its loads and stores */
        counts->figure[VECTOR]++;
    } else if ((group & 14) == 10 && bits(word, 31, 24) != 0xd5) { /* without barriers, hints and system registers */
        counts->figure[BRANCH]++;
    } else {
        counts->figure[SCALAR]++;
    }
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    Counts counts = {0};

    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        uint32_t word = 0;
        qemu_plugin_insn_data(qemu_plugin_tb_get_insn(block, i), &word, sizeof word);
        add_instruction(&counts, word);
    }
    for (int i = 0; i < FIGURES; i++) {
        if (counts.figure[i]) {
            qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(block, QEMU_PLUGIN_INLINE_ADD_U64, entries[i],
                                                             counts.figure[i]);
        }
    }
}

static void on_system_call(qemu_plugin_id_t id, unsigned int thread, int64_t number, uint64_t kind, uint64_t a2,
                           uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    if (number != MARK_SYSCALL) {
        return;
    }
    pthread_mutex_lock(&lock);
    if (marks_set < MOST_MARKS) {
        marks[marks_set].kind = kind;
        for (int i = 0; i < FIGURES; i++) {
            marks[marks_set].own.figure[i] = qemu_plugin_u64_get(entries[i], thread);
            marks[marks_set].all.figure[i] = qemu_plugin_u64_sum(entries[i]);
        }
        marks_set++;
    } else {
        marks_lost++;
    }
    pthread_mutex_unlock(&lock);
}

static void print_counts(FILE *out, const Counts *counts)
{
    for (int i = 0; i < FIGURES; i++) {
        fprintf(out, " %" PRIu64, counts->figure[i]);
    }
}

static void answer(FILE *client)
{
    char line[32];

    if (!fgets(line, sizeof line, client)) {
        return;
    }
    if (!strcmp(line, "counts\n")) {
        for (int thread = 0; thread < qemu_plugin_num_vcpus(); thread++) {
            Counts counts;
            for (int i = 0; i < FIGURES; i++) {
                counts.figure[i] = qemu_plugin_u64_get(entries[i], thread);
            }
            fprintf(client, "thread %d", thread);
            print_counts(client, &counts);
            fputc('\n', client);
        }
    } else if (!strcmp(line, "marks\n")) {
        pthread_mutex_lock(&lock);
        for (size_t i = 0; i < marks_set; i++) {
            fprintf(client, "mark %" PRIu64, marks[i].kind);
            print_counts(client, &marks[i].own);
            print_counts(client, &marks[i].all);
            fputc('\n', client);
        }
        if (marks_lost) {
            fprintf(client, "lost %zu\n", marks_lost);
        }
        marks_set = marks_lost = 0;
        pthread_mutex_unlock(&lock);
    }
    fputs("end\n", client);
}

static void *serve(void *unused)
{
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        FILE *client = connection < 0 ? NULL : fdopen(connection, "r+");
        if (client) {
            answer(client);
            fclose(client);
        } else if (connection < 0 && errno != EINTR && errno != ECONNABORTED) {
            return NULL; /* a forked child has closed its files */
        }
    }
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    sigset_t all, before;
    pthread_t thread;

    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* The client is another user than the container's; the directory keeps everybody else out. */
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) || chmod(path, 0777) ||
        listen(listener, 8)) {
        return -1;
    }
    /* Signals are the program's: this thread takes none. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    errno = pthread_create(&thread, NULL, serve, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return errno ? -1 : 0;
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    const char *path = argc == 1 && !strncmp(argv[0], "socket=", 7) ? argv[0] + 7 : NULL;

    if (!path || strcmp(info->target_name, "aarch64") || info->system_emulation) {
        fprintf(stderr, "count: give socket=PATH, to the user-mode emulator of aarch64\n");
        return -1;
    }
    marks = calloc(MOST_MARKS, sizeof *marks);
    board = qemu_plugin_scoreboard_new(sizeof(Counts));
    for (int i = 0; i < FIGURES; i++) {
        entries[i] = (qemu_plugin_u64){board, i * sizeof(uint64_t)};
    }
    if (!marks || listen_at(path)) {
        fprintf(stderr, "count: %s: %s\n", path, strerror(errno));
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_vcpu_syscall_cb(id, on_system_call);
    return 0;
}
