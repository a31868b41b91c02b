"""The application: the ``railwright`` command and the one pipeline that joins the other packages."""
