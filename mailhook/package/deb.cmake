# The Debian package: `cpack` in the build folder. It needs dpkg-dev, for dpkg-shlibdeps.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME mailhook)
set(CPACK_PACKAGE_VENDOR "the mailhook authors")
set(CPACK_PACKAGE_CONTACT "the mailhook authors <mailhook@example.com>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "mail filter that acts on credential expiry notices")
set(CPACK_PACKAGE_DESCRIPTION "mailhook reads the mails in which AWS and others say that a credential is
about to expire, makes one case of all that come about one expiry, and does
for a case what rules say: opens a ticket, runs an action, and replies with
the outcome.")
# By DESTDIR, so that install scripts see the prefix that the files will have.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/stage.cmake)
set(CPACK_MAILHOOK_PACKAGE ${CMAKE_CURRENT_LIST_DIR})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION mail)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "default-mta | mail-transport-agent")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_LIST_DIR}/postinst ${CMAKE_CURRENT_LIST_DIR}/prerm
  ${CMAKE_CURRENT_LIST_DIR}/postrm ${CMAKE_CURRENT_LIST_DIR}/conffiles)
include(CPack)
