# find_package(dbrewind CONFIG REQUIRED) gives dbrewind::dbrewind (shared) and dbrewind::static. Neither brings a SQLite.
# COMPONENTS gtest and catch2 give dbrewind::gtest and dbrewind::catch2, for dbrewind/gtest.hpp and dbrewind/catch2.hpp: they bring the
# framework, and are linked beside one of the two libraries.
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

include(CMakeFindDependencyMacro)
foreach(_dbrewind_component IN LISTS dbrewind_FIND_COMPONENTS)
  if(_dbrewind_component STREQUAL "gtest")
    find_dependency(GTest)
    set(_dbrewind_framework GTest::gtest)
  elseif(_dbrewind_component STREQUAL "catch2")
    find_dependency(Catch2 3)
    set(_dbrewind_framework Catch2::Catch2)
  else()
    set(dbrewind_FOUND FALSE)
    set(dbrewind_NOT_FOUND_MESSAGE "dbrewind has no component ${_dbrewind_component}; there are gtest and catch2")
    return()
  endif()
  if(NOT TARGET dbrewind::${_dbrewind_component})
    add_library(dbrewind::${_dbrewind_component} INTERFACE IMPORTED)
    set_target_properties(dbrewind::${_dbrewind_component} PROPERTIES
      INTERFACE_INCLUDE_DIRECTORIES "${_dbrewind_prefix}/include"
      INTERFACE_COMPILE_FEATURES cxx_std_17
      INTERFACE_LINK_LIBRARIES ${_dbrewind_framework})
  endif()
endforeach()

unset(_dbrewind_prefix)
unset(_dbrewind_framework)
