/* tests/fuzz/run_corpus.c - stands for libFuzzer where there is none: gives each file of the folders named to the target, once. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
void fuzz_end(void) __attribute__((weak)); /* of a target that keeps threads: ends them */

static void run_file(const char *path)
{
    struct stat found;
    FILE *f = fopen(path, "rb");

    if (f == NULL || fstat(fileno(f), &found) != 0) {
        perror(path);
        exit(1);
    }
    size_t bytes = (size_t)found.st_size;
    uint8_t *data = malloc(bytes + (bytes == 0));
    if (fread(data, 1, bytes, f) != bytes) {
        perror(path);
        exit(1);
    }
    fclose(f);
    printf("%s\n", path); /* the last one named is the one that ended it */
    fflush(stdout);
    (void)LLVMFuzzerTestOneInput(data, bytes);
    free(data);
}

int main(int argc, char **argv)
{
    unsigned files = 0;

    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (folder == NULL) {
            perror(argv[i]);
            return 1;
        }
        for (struct dirent *e; (e = readdir(folder)) != NULL;) {
            char path[4096];
            if (e->d_name[0] == '.') continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            run_file(path);
            files++;
        }
        closedir(folder);
    }
    if (fuzz_end != NULL) fuzz_end();
    printf("%u files\n", files);
    return files == 0;
}
