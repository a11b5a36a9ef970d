# Sourced by bash before every process of the app.
export JAVA_HOME="@home@"
export PATH="$JAVA_HOME/bin:$PATH"
export LD_LIBRARY_PATH="@libraries@${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

# Heap and stacks by the memory of the dyno. What JAVA_TOOL_OPTIONS or JAVA_OPTS says comes later, and so wins.
_java_memory=536870912
for _java_file in /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; do
    _java_found=$(cat "$_java_file" 2> /dev/null) || continue
    case $_java_found in
        '' | *[!0-9]* | ?????????????*) continue ;;
    esac
    _java_memory=$_java_found
    break
done
_java_memory=$((_java_memory / 1048576))
if [ $_java_memory -le 512 ]; then
    _java_options="-Xmx$((_java_memory * 300 / 512))m -Xss512k -XX:CICompilerCount=2"
elif [ $_java_memory -le 1024 ]; then
    _java_options="-Xmx$((_java_memory * 671 / 1024))m -XX:CICompilerCount=2"
else
    _java_options="-Xmx$((_java_memory * 4 / 5))m"
fi
export JAVA_TOOL_OPTIONS="$_java_options -Dfile.encoding=UTF-8${JAVA_TOOL_OPTIONS:+ $JAVA_TOOL_OPTIONS}"

# DATABASE_URL in the forms that JDBC and Spring read, where the app does not set them itself.
_java_url='^postgres(ql)?://(([^:@/]*)(:([^@/]*))?@)?([^/?]+)/([^?]*)(\?(.*))?$'
if [[ -z ${JDBC_DATABASE_URL:-} && ${DATABASE_URL:-} =~ $_java_url ]]; then
    _java_user=${BASH_REMATCH[3]} _java_password=${BASH_REMATCH[5]} _java_query=${BASH_REMATCH[9]}
    _java_jdbc="jdbc:postgresql://${BASH_REMATCH[6]}/${BASH_REMATCH[7]}"
    _java_query="${_java_query:+$_java_query&}user=$_java_user&password=$_java_password"
    export JDBC_DATABASE_URL="$_java_jdbc?$_java_query"
    _java_user=$(printf '%b' "${_java_user//%/\\x}") _java_password=$(printf '%b' "${_java_password//%/\\x}")
    export JDBC_DATABASE_USERNAME=$_java_user JDBC_DATABASE_PASSWORD=$_java_password
    if [ -z "${SPRING_DATASOURCE_URL:-}" ]; then
        export SPRING_DATASOURCE_URL=$JDBC_DATABASE_URL
        export SPRING_DATASOURCE_USERNAME=$_java_user SPRING_DATASOURCE_PASSWORD=$_java_password
    fi
    unset _java_user _java_password _java_query _java_jdbc
fi
unset _java_memory _java_file _java_found _java_options _java_url
