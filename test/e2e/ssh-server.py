"""An SSH server for git: ssh-server.py ADDRESS PORT. Lets everybody in, and runs what they ask for."""
import os
import socket
import subprocess
import sys
import threading

import paramiko

key = paramiko.ECDSAKey.generate()


class Server(paramiko.ServerInterface):
    def check_auth_none(self, username):
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username):
        return "none"

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_env_request(self, channel, name, value):
        return True

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=run, args=(channel, command), daemon=True).start()
        return True


def run(channel, command):
    process = subprocess.Popen(["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def feed():
        while octets := channel.recv(65536):
            process.stdin.write(octets)
            process.stdin.flush()
        process.stdin.close()

    threading.Thread(target=feed, daemon=True).start()
    while octets := os.read(process.stdout.fileno(), 65536):
        channel.sendall(octets)
    channel.send_exit_status(process.wait())
    channel.close()


def serve(client):
    transport = paramiko.Transport(client)
    transport.add_server_key(key)
    transport.start_server(server=Server())


listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
while True:
    client, _ = listener.accept()
    threading.Thread(target=serve, args=(client,), daemon=True).start()
