/** The kernel's constants, for Linux on x86-64 and arm64. Names are the C headers'. */

// errno
export const EPERM = 1
export const ENOENT = 2
export const ESRCH = 3
export const EINTR = 4
export const EIO = 5
export const ENXIO = 6
export const EBADF = 9
export const EAGAIN = 11
export const ENOMEM = 12
export const EACCES = 13
export const EFAULT = 14
export const EBUSY = 16
export const EEXIST = 17
export const ENODEV = 19
export const EINVAL = 22
export const ENFILE = 23
export const EMFILE = 24
export const ENOTTY = 25
export const EPIPE = 32
export const ENAMETOOLONG = 36
export const ENOSYS = 38
export const EPROTO = 71
export const EBADFD = 77
export const ENOTSOCK = 88
export const EMSGSIZE = 90
export const ENOPROTOOPT = 92
export const EPROTONOSUPPORT = 93
export const EOPNOTSUPP = 95
export const EAFNOSUPPORT = 97
export const EADDRINUSE = 98
export const EADDRNOTAVAIL = 99
export const ENETDOWN = 100
export const ENETUNREACH = 101
export const ENETRESET = 102
export const ECONNABORTED = 103
export const ECONNRESET = 104
export const ENOBUFS = 105
export const EISCONN = 106
export const ENOTCONN = 107
export const ETIMEDOUT = 110
export const ECONNREFUSED = 111
export const EHOSTDOWN = 112
export const EHOSTUNREACH = 113
export const EALREADY = 114
export const EINPROGRESS = 115

// open(2), fcntl(2)
/** openat(2): the path is where this process stands. */
export const AT_FDCWD = -100
export const O_RDONLY = 0
export const O_WRONLY = 1
export const O_RDWR = 2
export const O_NONBLOCK = 0x800
export const O_CLOEXEC = 0x80000
export const F_GETFD = 1
export const F_SETFD = 2
export const F_GETFL = 3
export const F_SETFL = 4
export const F_DUPFD_CLOEXEC = 1030
export const F_SETPIPE_SZ = 1031
export const SPLICE_F_MOVE = 1
export const SPLICE_F_NONBLOCK = 2
export const FD_CLOEXEC = 1
export const EFD_NONBLOCK = 0x800
export const EFD_CLOEXEC = 0x80000

// epoll(7)
export const EPOLLIN = 0x1
export const EPOLLPRI = 0x2
export const EPOLLOUT = 0x4
export const EPOLLERR = 0x8
export const EPOLLHUP = 0x10
export const EPOLLRDHUP = 0x2000
export const EPOLLEXCLUSIVE = 0x10000000
export const EPOLLONESHOT = 0x40000000
export const EPOLLET = 0x80000000
export const EPOLL_CTL_ADD = 1
export const EPOLL_CTL_DEL = 2
export const EPOLL_CTL_MOD = 3
export const EPOLL_CLOEXEC = 0x80000

// socket(2)
export const AF_UNSPEC = 0
export const AF_UNIX = 1
export const AF_INET = 2
export const AF_INET6 = 10
export const AF_NETLINK = 16
export const SOCK_STREAM = 1
export const SOCK_DGRAM = 2
export const SOCK_RAW = 3
export const SOCK_SEQPACKET = 5
export const SOCK_NONBLOCK = 0x800
export const SOCK_CLOEXEC = 0x80000
export const IPPROTO_IP = 0
export const IPPROTO_ICMP = 1
export const IPPROTO_TCP = 6
export const IPPROTO_UDP = 17
export const IPPROTO_IPV6 = 41
export const IPPROTO_ICMPV6 = 58
export const SHUT_RD = 0
export const SHUT_WR = 1
export const SHUT_RDWR = 2
export const MSG_PEEK = 0x2
export const MSG_TRUNC = 0x20
export const MSG_DONTWAIT = 0x40
export const MSG_ERRQUEUE = 0x2000
export const MSG_NOSIGNAL = 0x4000
export const SOL_SOCKET = 1
export const SO_REUSEADDR = 2
export const SO_ERROR = 4
export const SO_BROADCAST = 6
export const SO_SNDBUF = 7
export const SO_RCVBUF = 8
export const SO_KEEPALIVE = 9
export const SO_OOBINLINE = 10
export const SO_LINGER = 13
export const SO_REUSEPORT = 15
export const SO_BINDTODEVICE = 25
export const SO_PROTOCOL = 38
export const SO_DOMAIN = 39
export const TCP_NODELAY = 1
export const TCP_MAXSEG = 2
export const TCP_KEEPIDLE = 4
export const TCP_KEEPINTVL = 5
export const TCP_KEEPCNT = 6
export const TCP_SYNCNT = 7
export const TCP_INFO = 11
/** A state, <linux/tcp_states.h> */
export const TCP_CLOSE = 7
export const TCP_QUICKACK = 12
export const TCP_USER_TIMEOUT = 18
export const TCP_NOTSENT_LOWAT = 25
export const IP_TOS = 1
export const IP_TTL = 2
export const IP_PKTINFO = 8
export const IP_MTU_DISCOVER = 10
export const IP_RECVERR = 11
export const IP_RECVTTL = 12
export const IP_RECVTOS = 13
export const IP_MTU = 14
export const IP_PMTUDISC_DONT = 0
export const IP_PMTUDISC_WANT = 1
export const IP_PMTUDISC_DO = 2
export const IP_PMTUDISC_PROBE = 3
export const IP_BIND_ADDRESS_NO_PORT = 24
export const IPV6_RECVPKTINFO = 49
export const IPV6_PKTINFO = 50
export const IPV6_UNICAST_HOPS = 16
export const IPV6_MTU_DISCOVER = 23
export const IPV6_RECVERR = 25
export const IPV6_V6ONLY = 26
export const UDP_SEGMENT = 103
export const UDP_GRO = 104

/** Where an error in the queue comes from (`ee_origin`). */
export const SO_EE_ORIGIN_LOCAL = 1
export const SO_EE_ORIGIN_ICMP = 2
export const SO_EE_ORIGIN_ICMP6 = 3

// namespaces(7)
export const CLONE_NEWUSER = 0x10000000
export const CLONE_NEWNET = 0x40000000
export const CLONE_NEWNS = 0x00020000
export const CLONE_FS = 0x00000200
/** ioctl_ns(2): a descriptor of the user namespace that owns this namespace. */
export const NS_GET_USERNS = 0xb701
/** … and its kind, as a CLONE_ constant. */
export const NS_GET_NSTYPE = 0xb703

// netdevice(7)
export const SIOCADDRT = 0x890b
export const SIOCGIFFLAGS = 0x8913
export const SIOCSIFFLAGS = 0x8914
export const SIOCGIFADDR = 0x8915
export const SIOCSIFADDR = 0x8916
export const SIOCGIFNETMASK = 0x891b
export const SIOCSIFNETMASK = 0x891c
export const SIOCGIFMTU = 0x8921
export const SIOCSIFMTU = 0x8922
export const SIOCSIFHWADDR = 0x8924
export const SIOCGIFHWADDR = 0x8927
export const SIOCGIFINDEX = 0x8933
export const IFF_UP = 0x1
export const IFF_RUNNING = 0x40
export const IFNAMSIZ = 16
export const ARPHRD_ETHER = 1
export const RTF_UP = 0x1
export const RTF_GATEWAY = 0x2

// linux/if_tun.h
export const TUNSETIFF = 0x400454ca
export const TUNSETPERSIST = 0x400454cb
export const TUNSETOWNER = 0x400454cc
export const TUNGETFEATURES = 0x800454cf
export const TUNSETOFFLOAD = 0x400454d0
export const TUNGETIFF = 0x800454d2
export const TUNATTACHFILTER = 0x401054d5
export const TUNDETACHFILTER = 0x401054d6
export const TUNGETVNETHDRSZ = 0x800454d7
export const TUNSETVNETHDRSZ = 0x400454d8
export const TUNGETFILTER = 0x801054db
export const TUNSETVNETLE = 0x400454dc
export const IFF_TUN = 0x0001
export const IFF_TAP = 0x0002
export const IFF_MULTI_QUEUE = 0x0100
export const IFF_PERSIST = 0x0800
export const IFF_NO_PI = 0x1000
/** In an answer of TUNGETIFF; the same bit as IFF_NO_PI. */
export const IFF_NOFILTER = 0x1000
export const IFF_VNET_HDR = 0x4000
export const TUN_F_CSUM = 0x01
export const TUN_F_TSO4 = 0x02
export const TUN_F_TSO6 = 0x04
export const TUN_F_USO4 = 0x20
export const TUN_F_USO6 = 0x40
