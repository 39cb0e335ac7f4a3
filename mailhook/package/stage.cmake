# What a Debian package has and other installations have not; run by cpack over the files before they are packed. No
# file(INSTALL): it would put DESTDIR before the folder once more.
set(root ${CPACK_TEMPORARY_DIRECTORY})
set(doc ${root}/usr/share/doc/mailhook)
set(plain FILE_PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)

foreach(folder actions definitions secrets)
  file(MAKE_DIRECTORY ${root}/etc/mailhook/${folder})
endforeach()
configure_file(${CPACK_MAILHOOK_PACKAGE}/mailhook.conf ${root}/etc/mailhook/mailhook.conf COPYONLY ${plain})

file(REMOVE ${doc}/LICENSE) # copyright has it
configure_file(${CPACK_MAILHOOK_PACKAGE}/copyright ${doc}/copyright COPYONLY ${plain})
configure_file(${CPACK_MAILHOOK_PACKAGE}/changelog.in ${doc}/changelog @ONLY ${plain})

# Debian's zsh does not look into site-functions below /usr.
file(RENAME ${root}/usr/share/zsh/site-functions ${root}/usr/share/zsh/vendor-completions)

file(GLOB pages ${root}/usr/share/man/man*/*.[1-8])
execute_process(COMMAND gzip -9n ${doc}/changelog ${pages} RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "gzip: ${failed}")
endif()

# Folders were made by the umask of whoever packs.
file(GLOB_RECURSE all LIST_DIRECTORIES true ${root}/*)
foreach(path ${all})
  if(IS_DIRECTORY ${path})
    file(CHMOD ${path} DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
      WORLD_READ WORLD_EXECUTE)
  endif()
endforeach()
