/* bcryptprimitives.dll for Wine versions that have none: ProcessPrng, the one function of it that programs in Rust and Go use. */
#include <windows.h>

/* RtlGenRandom, under the only name that advapi32.dll exports it by. */
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(BYTE *buffer, SIZE_T length)
{
    while (length > 0) {
        ULONG part = length > 0x10000000 ? 0x10000000 : (ULONG)length;
        if (!SystemFunction036(buffer, part))
            return FALSE;
        buffer += part;
        length -= part;
    }
    return TRUE;
}
