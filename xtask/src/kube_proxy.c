/* kube-proxy.exe as far as `hnsproxy service replace` sees it: its version, its build information, and a service that runs until it is
   stopped. */
#include <windows.h>
#include <stdio.h>
#include <string.h>

/* The Go compiler writes such a line into each program. */
static volatile const char BUILD_INFORMATION[] = "path\tk8s.io/kubernetes/cmd/kube-proxy\n";

static SERVICE_STATUS_HANDLE handle;
static HANDLE stopped;

static void report(DWORD state)
{
    SERVICE_STATUS status = {SERVICE_WIN32_OWN_PROCESS, state, SERVICE_ACCEPT_STOP, 0, 0, 0, 0};
    SetServiceStatus(handle, &status);
}

static DWORD WINAPI control(DWORD code, DWORD type, void *data, void *context)
{
    if (code == SERVICE_CONTROL_STOP)
        SetEvent(stopped);
    return code == SERVICE_CONTROL_STOP || code == SERVICE_CONTROL_INTERROGATE ? NO_ERROR : ERROR_CALL_NOT_IMPLEMENTED;
}

static void WINAPI serve(DWORD count, char **arguments)
{
    handle = RegisterServiceCtrlHandlerExA("kube-proxy", control, NULL);
    report(SERVICE_RUNNING);
    WaitForSingleObject(stopped, INFINITE);
    report(SERVICE_STOPPED);
}

int main(int count, char **arguments)
{
    SERVICE_TABLE_ENTRYA table[] = {{"kube-proxy", serve}, {NULL, NULL}};
    if (BUILD_INFORMATION[0] != 'p')
        return 2;
    if (count > 1 && strcmp(arguments[1], "--version") == 0) {
        puts("Kubernetes v1.36.2");
        return 0;
    }
    stopped = CreateEventA(NULL, TRUE, FALSE, NULL);
    return StartServiceCtrlDispatcherA(table) ? 0 : 1;
}
