/* What a byte costs at least: copied in memory, looked through for line ends, read and written.
 *
 * In: a log. Out: a line of JSON for each, with processor time in ns for the whole log, the least of some rounds.
 * Usage: floors LOG OUT ROUNDS */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (256 * 1024)

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static size_t lines(const char *at, const char *end) {
    size_t count = 0;
    while (at < end && (at = memchr(at, '\n', end - at))) {
        count++;
        at++;
    }
    return count;
}

static void copy(const char *from, const char *to, char *block) {
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (in < 0 || out < 0) fail(in < 0 ? from : to);
    ssize_t got;
    while ((got = read(in, block, BLOCK)) > 0)
        if (write(out, block, got) != got) fail(to);
    if (got < 0) fail(from);
    close(in);
    close(out);
}

int main(int count, char **words) {
    if (count != 4) return 2;
    int file = open(words[1], O_RDONLY);
    struct stat about;
    if (file < 0 || fstat(file, &about)) fail(words[1]);
    size_t size = about.st_size;
    char *log = malloc(size), *other = malloc(size);
    if (!log || !other) fail("malloc");
    for (size_t have = 0; have < size;) {
        ssize_t got = read(file, log + have, size - have);
        if (got <= 0) fail(words[1]);
        have += got;
    }
    memset(other, 1, size); /* its pages are there before the clock runs */
    double memory = 1e18, split = 1e18, both = 1e18;
    size_t found = 0;
    for (int round = atoi(words[3]); round > 0; round--) {
        double begun = now();
        memcpy(other, log, size);
        __asm__ volatile("" : : "r"(other) : "memory"); /* so that it is not left out */
        double took = now() - begun;
        if (took < memory) memory = took;
        begun = now();
        found = lines(log, log + size);
        took = now() - begun;
        if (took < split) split = took;
        begun = now();
        copy(words[1], words[2], other);
        took = now() - begun;
        if (took < both) both = took;
    }
    printf("{\"memcpy\": %.0f, \"memchr\": %.0f, \"copy\": %.0f, \"bytes\": %zu, \"lines\": %zu}\n", memory, split, both,
           size, found);
    return 0;
}
