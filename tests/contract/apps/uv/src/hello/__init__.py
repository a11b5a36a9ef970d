import itsdangerous


def main():
    print("signed", itsdangerous.Signer("key").sign("x").decode(), __file__)
