#include <gcrypt.h>

// Prepares the library, once for the process; a program that uses it must. Returns 0 if it cannot.
static inline int cgcrypt_start(void) {
  if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P)) return 1;
  if (!gcry_check_version(NULL)) return 0;
  // No secrets here, which would be kept in locked memory.
  gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
  gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
  return 1;
}
