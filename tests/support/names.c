/* A stand-in for the machine's resolver, to be loaded before the C library (LD_PRELOAD). For a host that
   has a file of its name in the folder NAMES it gives the addresses in a line of that file: the first line
   for the first question, and so on; the last one stays. Each question leaves a byte in HOST.asked. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int resolver(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    resolver *real = (resolver *) dlsym(RTLD_NEXT, "getaddrinfo");
    const char *folder = getenv("NAMES");
    char path[1024], line[1024] = "", next[1024];
    FILE *answers = NULL;

    if (host && folder && !strchr(host, '/')) {
        snprintf(path, sizeof path, "%s/%s", folder, host);
        answers = fopen(path, "r");
    }
    if (!answers)
        return real(host, service, hints, found);

    strncat(path, ".asked", sizeof path - strlen(path) - 1);
    int asked = open(path, O_WRONLY | O_APPEND | O_CREAT, 0666);
    if (write(asked, "?", 1) != 1)
        abort();
    off_t count = lseek(asked, 0, SEEK_END);
    close(asked);
    while (count-- > 0 && fgets(next, sizeof next, answers))
        memcpy(line, next, sizeof line);
    fclose(answers);

    struct addrinfo plain = {0};
    if (hints)
        plain = *hints;
    plain.ai_flags = AI_NUMERICHOST;
    struct addrinfo **end = found;
    char *rest = line;
    for (char *address; (address = strsep(&rest, " \n"));) {
        if (*address && real(address, service, &plain, end) == 0)
            while (*end)
                end = &(*end)->ai_next;
    }
    return end == found ? EAI_NONAME : 0;
}
