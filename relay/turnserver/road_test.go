package turnserver

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/platen-scan/platen/relay/rtcroad"
)

// TestRoadThroughRelay: a browser that may use nothing but the relay reaches a node.
func TestRoadThroughRelay(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			s := start(t, Config{})
			road, err := rtcroad.New(rtcroad.Config{Addr: "127.0.0.1:0", Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			if err := road.Listen(); err != nil {
				t.Fatal(err)
			}
			served := make(chan error, 1)
			go func() { served <- road.Serve(context.Background()) }()
			said := make(chan string, 1)
			go func() {
				c, err := road.Accept()
				if err != nil {
					return
				}
				io.WriteString(c, "over the relay from "+c.RemoteAddr().(*net.UDPAddr).IP.String())
				c.Close()
			}()
			t.Cleanup(func() {
				road.Close()
				if err := <-served; err != nil {
					t.Errorf("Serve = %v", err)
				}
			})

			engine := webrtc.SettingEngine{LoggerFactory: loggers(s.log)}
			engine.SetIncludeLoopbackCandidate(true)
			engine.SetRelayAcceptanceMinWait(0)
			engine.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
			api := webrtc.NewAPI(webrtc.WithSettingEngine(engine))
			username, password := s.Credentials("s-1", time.Minute)
			pc, err := api.NewPeerConnection(webrtc.Configuration{
				ICETransportPolicy: webrtc.ICETransportPolicyRelay,
				ICEServers: []webrtc.ICEServer{{
					URLs: []string{"turn:" + s.Addr().String() + "?transport=" + transport}, Username: username, Credential: password,
				}},
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { pc.GracefulClose() })
			channel, err := pc.CreateDataChannel("", nil)
			if err != nil {
				t.Fatal(err)
			}
			channel.OnMessage(func(m webrtc.DataChannelMessage) {
				if len(m.Data) > 0 {
					said <- string(m.Data)
				}
			})
			gathered := webrtc.GatheringCompletePromise(pc)
			offer, err := pc.CreateOffer(nil)
			if err == nil {
				err = pc.SetLocalDescription(offer)
			}
			if err != nil {
				t.Fatal(err)
			}
			<-gathered
			answer, err := road.Answer(t.Context(), pc.LocalDescription().SDP, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
				t.Fatal(err)
			}
			select {
			case got := <-said:
				if got != "over the relay from 127.0.0.1" {
					t.Errorf("the node said %q", got)
				}
			case <-time.After(patience):
				t.Fatal("the node cannot be reached")
			}
			pair, err := pc.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
			if err != nil || pair.Local.Typ != webrtc.ICECandidateTypeRelay {
				t.Errorf("selected %v, %v", pair, err)
			}
		})
	}
}
