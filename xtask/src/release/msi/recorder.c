/* Stands for hnsproxy in tests of the installer: appends its arguments to C:\calls.txt, and fails if C:\fail.txt exists. */
#include <stdio.h>
#include <string.h>
#include <windows.h>

int main(void)
{
    /* The program is quoted. */
    const char *line = GetCommandLineA();
    const char *arguments = strstr(line, "\" ");
    FILE *calls = fopen("C:\\calls.txt", "a");
    if (calls == NULL)
        return 2;
    fprintf(calls, "%s\n", arguments == NULL ? line : arguments + 2);
    fclose(calls);
    return GetFileAttributesA("C:\\fail.txt") != INVALID_FILE_ATTRIBUTES;
}
