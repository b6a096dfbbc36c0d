# find_package(dbrewind CONFIG REQUIRED) gives dbrewind::dbrewind (shared) and dbrewind::static. Neither brings a SQLite.
get_filename_component(_dbrewind_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

if(NOT TARGET dbrewind::dbrewind)
  add_library(dbrewind::dbrewind SHARED IMPORTED)
  set_target_properties(dbrewind::dbrewind PROPERTIES
    IMPORTED_LOCATION "${_dbrewind_prefix}/lib/libdbrewind.so.0"
    IMPORTED_SONAME libdbrewind.so.0
    INTERFACE_INCLUDE_DIRECTORIES "${_dbrewind_prefix}/include")

  add_library(dbrewind::static STATIC IMPORTED)
  set_target_properties(dbrewind::static PROPERTIES
    IMPORTED_LOCATION "${_dbrewind_prefix}/lib/libdbrewind.a"
    IMPORTED_LINK_INTERFACE_LANGUAGES C
    INTERFACE_INCLUDE_DIRECTORIES "${_dbrewind_prefix}/include"
    INTERFACE_LINK_LIBRARIES "pthread;dl;m;rt;gcc_s")
endif()

unset(_dbrewind_prefix)
