/* The header without sqlite3.h. */
#include <dbrewind.h>

int main(void) {
    dbrewind_options options = DBREWIND_INIT(options);
    dbrewind_rewind_options how = DBREWIND_INIT(how);
    return dbrewind_abi_version() == DBREWIND_ABI_VERSION && options.size > how.size && dbrewind_to_now().text == NULL ? 0 : 1;
}
